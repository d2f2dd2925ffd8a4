#include "daemon/archive/plugin_tar.h"

#include "daemon/archive/worker_jobs.h"
#include "daemon/archive/worker_process.h"
#include "daemon/archive/worker_report.h"

namespace brokerd {
namespace {

ArchiveError incomplete() {
    return {ArchiveError::Kind::host, "the archive worker's report is incomplete"};
}

Failure<ArchiveError> in_context(const char* context, ArchiveError error) {
    error.message = context + error.message;
    return fail(std::move(error));
}

/// Runs a packing job, which reports one digest.
ArchiveResult<PackedLayer> run(WorkerJob job, WorkerReport& report, const LayerSink& sink, const ArchiveLimits& limits,
                               int cancel_fd) {
    std::uint64_t compressed_bytes = 0;
    job.output = [&](std::string_view bytes) {
        compressed_bytes += bytes.size();
        return sink(bytes);
    };
    if (const auto done = run_worker(job, limits, cancel_fd, report); !done) return fail(done.error());
    if (report.digests.size() != 1) return fail(incomplete());
    return PackedLayer{report.digests.front(), report.entries, report.bytes, compressed_bytes, report.skipped};
}

WorkerReport::Progress first_only(const PackProgress& progress) {
    if (!progress) return nullptr;
    return [&progress](std::size_t, std::uint64_t bytes) { progress(bytes); };
}

}  // namespace

ArchiveResult<PluginTar> read_plugin_tar(int archive, const LayerSink& sink, const ArchiveLimits& limits, int cancel_fd,
                                         const PackProgress& progress) {
    WorkerReport report{1, first_only(progress)};
    auto layer =
        run({std::string{kReadPluginTarJob}, {"archive"}, {archive}, -1, nullptr}, report, sink, limits, cancel_fd);
    constexpr const char* kContext = "cannot read the plugin: ";
    if (!layer) return in_context(kContext, layer.error());
    if (!report.config) return in_context(kContext, incomplete());
    return PluginTar{*std::move(report.config), *std::move(layer)};
}

ArchiveResult<PackedLayer> pack_rootfs(int rootfs, const LayerSink& sink, const ArchiveLimits& limits, int cancel_fd,
                                       const PackProgress& progress) {
    WorkerReport report{1, first_only(progress)};
    auto layer = run({std::string{kPackJob}, {}, {}, rootfs, nullptr}, report, sink, limits, cancel_fd);
    if (!layer) return in_context("cannot pack the rootfs: ", layer.error());
    return layer;
}

}  // namespace brokerd
