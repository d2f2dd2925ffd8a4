#pragma once

#include <array>
#include <string>
#include <string_view>

#include "common/plugin_view.h"

namespace brokerd::cli {

/// What `ls` has to show of a plugin: PluginView's JSON members, after Status, which is made here.
inline constexpr std::array<std::string_view, 21> kListFields{
    "Status",   "Name",        "Kind",      "State",      "Implements",
    "Endpoint", "Definition",  "Published", "Reason",     "Since",
    "Attempts", "NextAttempt", "TLS",       "TLS.Verify", "TLS.ClientCertificate",
    "Warnings", "Shadows",     "Id",        "Reference",  "Description",
    "Enabled"};
/// The same for `inspect`, which shows the daemon's own object: a PluginView, or Docker's for a managed plugin.
inline constexpr std::array<std::string_view, 25> kInspectFields{
    "Name",     "Kind",     "State",    "Implements",  "Endpoint",    "Definition", "Published",
    "Reason",   "Since",    "Attempts", "NextAttempt", "TLS",         "TLS.Verify", "TLS.ClientCertificate",
    "Warnings", "Shadows",  "Id",       "Reference",   "Description", "Enabled",    "PluginReference",
    "Config",   "Config.*", "Settings", "Settings.*"};

/// State, attempts and reason in one phrase: "activating (attempt 3)", "failed: connection refused". Not yet printable.
[[nodiscard]] std::string status_text(const PluginView& plugin);

}  // namespace brokerd::cli
