#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>

#include "common/plugin_view.h"

namespace brokerd::cli {

/// What `ls` has to show of a plugin: PluginView's JSON members, after Status, which is made here.
inline constexpr std::array<std::string_view, 17> kListFields{
    "Status",   "Name",        "Kind",      "State",      "Implements",
    "Endpoint", "Definition",  "Published", "Reason",     "Since",
    "Attempts", "NextAttempt", "TLS",       "TLS.Verify", "TLS.ClientCertificate",
    "Warnings", "Shadows"};
/// The same for `inspect`, which shows the daemon's own object.
inline constexpr std::span<const std::string_view> kInspectFields = std::span{kListFields}.subspan(1);

/// State, attempts and reason in one phrase: "activating (attempt 3)", "failed: connection refused". Not yet printable.
[[nodiscard]] std::string status_text(const PluginView& plugin);

}  // namespace brokerd::cli
