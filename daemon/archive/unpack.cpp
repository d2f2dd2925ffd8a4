#include "daemon/archive/unpack.h"

#include "daemon/archive/worker_jobs.h"
#include "daemon/archive/worker_process.h"
#include "daemon/archive/worker_report.h"

namespace brokerd {
namespace {

std::string layer_argument(const LayerInput& layer) {
    std::string argument;
    switch (layer.compression) {
        case Compression::none:
            argument = "none";
            break;
        case Compression::gzip:
            argument = "gzip";
            break;
        case Compression::zstd:
            argument = "zstd";
            break;
    }
    return layer.diff_id ? argument + ' ' + layer.diff_id->str() : argument;
}

ArchiveResult<UnpackReport> run(const WorkerJob& job, const ArchiveLimits& limits, int cancel_fd,
                                const LayerProgress& progress) {
    WorkerReport report{job.inputs.size(), progress};
    const auto cannot = [](ArchiveError::Kind kind, const std::string& why) {
        return fail(ArchiveError{kind, "cannot unpack: " + why});
    };
    if (const auto done = run_worker(job, limits, cancel_fd, report); !done)
        return cannot(done.error().kind, done.error().message);
    return UnpackReport{report.entries, report.bytes, report.skipped};
}

}  // namespace

ArchiveResult<UnpackReport> unpack_layers(const std::vector<LayerInput>& layers, int rootfs,
                                          const ArchiveLimits& limits, int cancel_fd, const LayerProgress& progress) {
    WorkerJob job{std::string{kUnpackJob}, {}, {}, rootfs, nullptr};
    for (const LayerInput& layer : layers) {
        job.arguments.push_back(layer_argument(layer));
        job.inputs.push_back(layer.fd);
    }
    return run(job, limits, cancel_fd, progress);
}

ArchiveResult<UnpackReport> extract_archive(int archive, int destination, const ArchiveLimits& limits, int cancel_fd) {
    return run({std::string{kExtractJob}, {"archive"}, {archive}, destination, nullptr}, limits, cancel_fd, nullptr);
}

}  // namespace brokerd
