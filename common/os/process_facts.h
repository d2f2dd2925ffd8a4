#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

namespace brokerd {

/// When a process started, in clock ticks since boot (proc(5), /proc/PID/stat, starttime): with the number it names a
/// process for good, which the number alone does not. Nothing where there is no such process.
[[nodiscard]] std::optional<std::uint64_t> process_start(pid_t pid);

/// The clock that process_start() tells, now.
[[nodiscard]] std::uint64_t ticks_since_boot();

/// What a process calls itself, for people to recognise it (/proc/PID/comm, at most 15 bytes); escaped, and nothing may
/// be decided on it. Empty where there is no such process. Its arguments would tell more, but reading them takes the
/// lock of the process's memory, which one that is stuck on a dead file system may hold for ever.
[[nodiscard]] std::string process_name(pid_t pid);

/// "dockerd (pid 123)"; "a process (pid 123)" where its name is not known.
[[nodiscard]] std::string process_label(pid_t pid, const std::string& name);

}  // namespace brokerd
