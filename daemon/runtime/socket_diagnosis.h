#pragma once

#include <sys/types.h>

#include <string>

namespace brokerd {

/// Why nobody listens on `socket` (the file name that the plugin's config gives) in `exec_directory`, the plugin's
/// /run/docker/plugins seen from the host: names the sockets that it does listen on, as the plugin sees them.
/// "it listens at /run/docker/plugins/other.sock, but its config says that interface.socket is plugin.sock"
/// "it runs, but does not listen at /run/docker/plugins/plugin.sock"
/// "it runs and has made /run/docker/plugins/plugin.sock, but does not answer there: connection refused"
/// `last_try`: what came of asking it last, as the last of these has it; may be empty.
/// Reads what the plugin can write: bounded, follows no link, touches no file system of the plugin's own.
/// `pid`: its first process; only read about, so a number that has been given to another one does no harm.
/// Thread: any that may wait.
[[nodiscard]] std::string why_not_listening(pid_t pid, const std::string& exec_directory, const std::string& socket,
                                            const std::string& last_try);

}  // namespace brokerd
