#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "common/plugin_view.h"

namespace brokerd::cli {

using FieldName = std::string_view;

template <std::size_t... Sizes>
constexpr auto joined(const std::array<FieldName, Sizes>&... parts) {
    std::array<FieldName, (Sizes + ...)> all{};
    auto place = all.begin();
    ((place = std::copy(parts.begin(), parts.end(), place)), ...);
    return all;
}

/// PluginView's JSON members that `ls` and `inspect` both show.
inline constexpr auto kPluginFields = std::to_array<FieldName>({"ID",          "PluginReference",
                                                                "Name",        "Kind",
                                                                "State",       "Implements",
                                                                "Endpoint",    "Definition",
                                                                "Published",   "Reason",
                                                                "Since",       "Attempts",
                                                                "NextAttempt", "TLS",
                                                                "TLS.Verify",  "TLS.ClientCertificate",
                                                                "Warnings",    "Shadows",
                                                                "Id",          "Reference",
                                                                "Description", "Enabled",
                                                                "Leases"});
/// What `ls` has to show of a plugin, with Status and the names that docker has for some of them, which `ls` makes.
inline constexpr auto kListFields = joined(std::to_array<FieldName>({"Status"}), kPluginFields,
                                           std::to_array<FieldName>({"Restarts", "LastExit", "Pid"}));
/// The same for `inspect`, which shows the daemon's own object: a PluginView, or Docker's for a managed plugin with the
/// PluginView as its member Broker.
inline constexpr auto kInspectFields = joined(
    kPluginFields, std::to_array<FieldName>({"Config", "Config.*", "Settings", "Settings.*", "Broker", "Broker.*"}));

/// State, attempts or restarts, and reason in one phrase: "activating (attempt 3)", "failed: connection refused",
/// "restarting (3): exited with status 1". Not yet printable.
[[nodiscard]] std::string status_text(const PluginView& plugin);

}  // namespace brokerd::cli
