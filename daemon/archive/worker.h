#pragma once

#include <string_view>

namespace brokerd {

/// Archives are only ever parsed in a process of their own that sees nothing but its input and its destination: the
/// daemon starts its own program again with this as the first argument. main() must dispatch it before anything else:
///
///     if (is_archive_worker(argc, argv)) return archive_worker_main(argc, argv);
///
/// The same goes for test programs that call what the headers of this folder offer.
inline constexpr std::string_view kArchiveWorkerArgument = "--archive-worker";

[[nodiscard]] inline bool is_archive_worker(int argc, char** argv) {
    return argc > 1 && argv[1] == kArchiveWorkerArgument;
}

/// Does one job and ends the process; never returns to the caller's cleanup, so that nothing of a half-built daemon
/// runs. Thread: the only one.
[[noreturn]] int archive_worker_main(int argc, char** argv);

}  // namespace brokerd
