#pragma once

#include <optional>
#include <string>

namespace brokerd {

/// What systemd says of the whole host: "starting", "running", "degraded", "stopping" … (systemctl(1),
/// is-system-running). Nothing where systemd is not the init of this host, or does not answer within a few seconds.
/// Thread: any that may wait.
[[nodiscard]] std::optional<std::string> systemd_state();

/// Whether the host goes down: then nobody will come back for what runs, and nothing is to be started. False where
/// systemd does not tell. Thread: any that may wait.
[[nodiscard]] bool host_is_stopping();

}  // namespace brokerd
