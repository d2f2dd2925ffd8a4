#pragma once

#include <array>
#include <string>
#include <string_view>

#include "common/plugin_view.h"

namespace brokerd::cli {

/// What `ls` has to show of a plugin: PluginView's JSON members, after Status and the names that docker has for some of
/// them, which `ls` makes.
inline constexpr std::array<std::string_view, 27> kListFields{"Status",
                                                              "ID",
                                                              "PluginReference",
                                                              "Name",
                                                              "Kind",
                                                              "State",
                                                              "Implements",
                                                              "Endpoint",
                                                              "Definition",
                                                              "Published",
                                                              "Reason",
                                                              "Since",
                                                              "Attempts",
                                                              "NextAttempt",
                                                              "TLS",
                                                              "TLS.Verify",
                                                              "TLS.ClientCertificate",
                                                              "Warnings",
                                                              "Shadows",
                                                              "Id",
                                                              "Reference",
                                                              "Description",
                                                              "Enabled",
                                                              "Restarts",
                                                              "LastExit",
                                                              "Pid",
                                                              "Leases"};
/// The same for `inspect`, which shows the daemon's own object: a PluginView, or Docker's for a managed plugin with the
/// PluginView as its member Broker.
inline constexpr std::array<std::string_view, 29> kInspectFields{"ID",
                                                                 "Name",
                                                                 "Kind",
                                                                 "State",
                                                                 "Implements",
                                                                 "Endpoint",
                                                                 "Definition",
                                                                 "Published",
                                                                 "Reason",
                                                                 "Since",
                                                                 "Attempts",
                                                                 "NextAttempt",
                                                                 "TLS",
                                                                 "TLS.Verify",
                                                                 "TLS.ClientCertificate",
                                                                 "Warnings",
                                                                 "Shadows",
                                                                 "Id",
                                                                 "Reference",
                                                                 "Description",
                                                                 "Enabled",
                                                                 "PluginReference",
                                                                 "Config",
                                                                 "Config.*",
                                                                 "Settings",
                                                                 "Settings.*",
                                                                 "Leases",
                                                                 "Broker",
                                                                 "Broker.*"};

/// State, attempts or restarts, and reason in one phrase: "activating (attempt 3)", "failed: connection refused",
/// "restarting (3): exited with status 1". Not yet printable.
[[nodiscard]] std::string status_text(const PluginView& plugin);

}  // namespace brokerd::cli
