// Layers of an image, unpacked: daemon/archive/unpack.h and all below it. The first byte: how the layers are
// compressed, and after how many blocks a second one begins, in which whiteouts mean something.
#include <algorithm>

#include "tests/fuzz/archive_jobs.h"
#include "tests/fuzz/checks.h"

namespace brokerd::fuzz::layer_tar_target {

void try_input(std::string_view input) {
    static const auto jobs = ArchiveJobs::make();
    if (!jobs || input.empty()) return;
    const auto choice = static_cast<unsigned char>(input.front());
    input.remove_prefix(1);
    constexpr const char* kEncodings[] = {"none", "none", "gzip", "zstd"};
    const std::string encoding = kEncodings[choice % 4];
    const std::size_t first = std::min<std::size_t>(choice / 4 * std::size_t{512}, input.size());
    std::vector<ArchiveInput> layers;
    if (first > 0) layers.push_back({encoding, input.substr(0, first)});
    layers.push_back({encoding, input.substr(first)});
    const auto outcome = jobs->run(ArchiveJob::unpack, layers);
    expect(outcome.entries <= 200 && outcome.bytes <= (std::uint64_t{1} << 20), "unpacking keeps to its limits");
}

}  // namespace brokerd::fuzz::layer_tar_target
