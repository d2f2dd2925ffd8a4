#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace brokerd {

/// When a process started, in clock ticks since boot (proc(5), /proc/PID/stat, starttime): with the number it names a
/// process for good, which the number alone does not. Nothing where there is no such process.
[[nodiscard]] std::optional<std::uint64_t> process_start(pid_t pid);

/// The clock that process_start() tells, now.
[[nodiscard]] std::uint64_t ticks_since_boot();

/// A process for people to recognise: its arguments, with blanks between them and at most `limit` bytes of them, or
/// the name in /proc/PID/comm where it has none. What a process calls itself is its own choice: it is escaped, and
/// nothing may be decided on it. Empty where there is no such process.
[[nodiscard]] std::string process_command(pid_t pid, std::size_t limit = 120);

/// "dockerd (pid 123)" for the command "/usr/bin/dockerd -H fd://"; "a process (pid 123)" where it is not known.
[[nodiscard]] std::string process_label(pid_t pid, const std::string& command);

}  // namespace brokerd
