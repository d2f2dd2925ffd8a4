#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/result.h"

/// What brokerd and the shims tell each other: the files of a plugin's bundle directory and the report at a start.
/// Everything is read with a bound and strictly; nothing here waits. Any thread.
///
/// A bundle directory belongs to one run of a plugin. brokerd makes it with config.json and the lock; the shim that it
/// starts there adds the rest, and holds the lock as long as it lives.
namespace brokerd {

namespace bundle_files {
inline constexpr std::string_view kLock = "lock";               ///< flock(2) held by the shim: it lives
inline constexpr std::string_view kRunning = "running";         ///< ShimRunning: the plugin has been started
inline constexpr std::string_view kExit = "exit";               ///< ShimExit: it has ended, and the shim ends, too
inline constexpr std::string_view kPid = "pid";                 ///< written by the OCI runtime, read by the shim
inline constexpr std::string_view kRuntimeLog = "runtime.log";  ///< the OCI runtime's own messages
}  // namespace bundle_files

/// A process that no other can be mistaken for.
struct ProcessIdentity {
    pid_t pid = 0;
    std::uint64_t start = 0;  ///< field 22 of /proc/PID/stat: clock ticks from boot to its start

    friend bool operator==(const ProcessIdentity&, const ProcessIdentity&) = default;
};

/// Who has this number now, also where it has ended and nobody has reaped it; nothing where nobody has. To be sure that
/// a pidfd is the process meant, open it first and compare after.
[[nodiscard]] std::optional<ProcessIdentity> process_identity(pid_t pid);

/// The file `running`.
struct ShimRunning {
    ProcessIdentity plugin;  ///< its first process
    ProcessIdentity shim;
    std::chrono::system_clock::time_point started{};
};

/// The file `exit`: how the plugin's first process ended.
struct ShimExit {
    enum class Kind : std::uint8_t {
        exited,   ///< by itself, with `status`
        killed,   ///< by the signal `status`
        unknown,  ///< the shim could not learn it
    };

    Kind kind = Kind::unknown;
    int status = 0;
    bool out_of_memory = false;  ///< killed by the kernel because the memory of its cgroup was used up
    std::string last_words;      ///< the end of what it wrote to stderr: one line of UTF-8 without control characters
    std::chrono::system_clock::time_point at{};
};

/// What a shim reports once, as one line of JSON on kShimReportFd, before it closes that descriptor.
struct ShimReport {
    ProcessIdentity plugin;  ///< what runs; `running` has been written
    /// Why nothing runs, one sentence without a full stop; empty: it does. What the OCI runtime made by then may still
    /// be there and is to be deleted by brokerd.
    std::string error;
};

/// Ours: for any of these texts. Last words and errors are far shorter.
inline constexpr std::size_t kMaxShimText = 8192;

[[nodiscard]] std::string to_json(const ShimRunning& running);
[[nodiscard]] std::string to_json(const ShimExit& exit);
[[nodiscard]] std::string to_json(const ShimReport& report);
[[nodiscard]] Result<ShimRunning> parse_shim_running(std::string_view text);
[[nodiscard]] Result<ShimExit> parse_shim_exit(std::string_view text);
[[nodiscard]] Result<ShimReport> parse_shim_report(std::string_view text);

/// The files in the bundle directory `bundle`, an open descriptor. Nothing where there is no such file yet.
[[nodiscard]] Result<std::optional<ShimRunning>> read_running(int bundle);
[[nodiscard]] Result<std::optional<ShimExit>> read_exit(int bundle);

/// Writes a file of the bundle directory: whole, or not at all. False: errno says why.
[[nodiscard]] bool write_bundle_file(int bundle, std::string_view name, std::string_view text);

}  // namespace brokerd
