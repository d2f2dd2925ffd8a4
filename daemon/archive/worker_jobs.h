#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "daemon/archive/limits.h"
#include "daemon/archive/worker_report.h"

namespace brokerd {

/// What a job of the worker has to work with, besides the descriptors of worker_process.h. Inside the worker.
struct WorkerContext {
    ReportWriter report;
    const ArchiveLimits limits;
    const std::vector<std::string> arguments;
    std::size_t layer = 0;  ///< the one in progress, from 1; 0 where there are none. For errors
    std::string entry;      ///< the one in progress, escaped. For errors
};

// The jobs, by the names that the daemon calls them. Each throws Refused, or reports that it is done.

inline constexpr std::string_view kUnpackJob = "unpack";
inline constexpr std::string_view kExtractJob = "extract";
inline constexpr std::string_view kReadPluginTarJob = "read-plugin-tar";
inline constexpr std::string_view kPackJob = "pack";

/// An argument for each layer: its encoding (gzip, zstd, none), then " sha256:…" where its diff ID is known.
void run_unpack(WorkerContext& context);
void run_extract(WorkerContext& context);
void run_read_plugin_tar(WorkerContext& context);
void run_pack(WorkerContext& context);

}  // namespace brokerd
