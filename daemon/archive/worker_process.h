#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/archive/archive_error.h"
#include "daemon/archive/limits.h"
#include "daemon/archive/worker_report.h"

namespace brokerd {

/// The descriptors that the worker finds, besides /dev/null in the place of standard input and output.
inline constexpr int kReportFd = 3;
inline constexpr int kDirectoryFd = 4;  ///< its root-to-be; /dev/null where it has none
inline constexpr int kOutputFd = 5;     ///< of packing jobs; else /dev/null
inline constexpr int kFirstInputFd = 6;

struct WorkerJob {
    std::string name;                    ///< as worker_main.cpp knows it
    std::vector<std::string> arguments;  ///< one for each input
    std::vector<int> inputs;             ///< borrowed
    int directory = -1;                  ///< borrowed; -1: none
    /// Takes what the worker writes to its output; null: it has none. An error ends the job.
    std::function<Result<bool>(std::string_view bytes)> output;
};

/// Runs the job in a new process of this program (see worker.h) and sees it to its end: `report` is filled meanwhile.
/// An error is the worker's refusal, the sink's, or why the worker did not do it: cancelled, too slow, killed.
/// No process is left behind. Thread: any that may wait.
[[nodiscard]] ArchiveResult<bool> run_worker(const WorkerJob& job, const ArchiveLimits& limits, int cancel_fd,
                                             WorkerReport& report);

/// The limits as a worker's argument, and back.
[[nodiscard]] std::string write_limits(const ArchiveLimits& limits);
[[nodiscard]] ArchiveLimits read_limits(std::string_view text);

}  // namespace brokerd
