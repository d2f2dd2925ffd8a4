#pragma once

#include <string>
#include <string_view>

namespace brokerd {

/// Why an OCI runtime failed to start a plugin, for the plugin's operator: what is known of the cause, then the
/// runtime's own words. `runtime`: its name. `log`: the end of what it logged in JSON (--log-format json). `errors`:
/// the end of what it wrote to stderr, used where the log says nothing. `end`: how it ended ("exited with status 1"),
/// used where neither says anything. All of them may be hostile.
[[nodiscard]] std::string runtime_failure(std::string_view runtime, std::string_view log, std::string_view errors,
                                          std::string_view end);

}  // namespace brokerd
