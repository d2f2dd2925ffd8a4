// The tar of a plugin that is created, which becomes a layer, which is unpacked; and the same bytes as an archive that
// is loaded: daemon/archive/plugin_tar.h, unpack.h.
#include "tests/fuzz/archive_jobs.h"
#include "tests/fuzz/checks.h"

namespace brokerd::fuzz::plugin_tar_target {

void try_input(std::string_view input) {
    static const auto jobs = ArchiveJobs::make();
    if (!jobs) return;
    static_cast<void>(jobs->run(ArchiveJob::extract, {{"", input}}));
    const auto made = jobs->run(ArchiveJob::read_plugin_tar, {{"", input}});
    if (!made.refusal.empty()) return;
    expect(made.digests.size() == 1, "a layer that is made has a digest");
    const auto again = jobs->run(ArchiveJob::read_plugin_tar, {{"", input}});
    expect(again.output == made.output && again.digests == made.digests, "the same plugin makes the same layer");
    // What it holds may be refused, entry by entry; that it is a tar, and this one, may not.
    const auto unpacked = jobs->run(ArchiveJob::unpack, {{"gzip " + made.digests.front().str(), made.output}});
    expect(!unpacked.refusal.starts_with("is no good") && !unpacked.refusal.starts_with("is not what the image's") &&
               !unpacked.refusal.starts_with("ends in the middle"),
           "a layer that is made is a good one", unpacked.refusal);
}

}  // namespace brokerd::fuzz::plugin_tar_target
