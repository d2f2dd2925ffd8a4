#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/archive/worker_report.h"
#include "tests/fuzz/private_root.h"

/// The jobs of the archive worker, done as the worker does them but for its process: on a thread whose root holds the
/// directory that is unpacked into, and beside it another that nothing may touch.
namespace brokerd::fuzz {

enum class ArchiveJob { unpack, extract, read_plugin_tar };

struct ArchiveInput {
    std::string encoding;  ///< as worker_jobs.h has it, for `unpack`
    std::string_view bytes;
};

class ArchiveJobs {
public:
    /// Nothing where this is not root.
    [[nodiscard]] static std::unique_ptr<ArchiveJobs> make();

    struct Outcome {
        std::string refusal;  ///< empty: it was done
        bool is_host_to_blame = false;
        std::string output;  ///< of read_plugin_tar: the layer
        std::vector<Digest> digests;
        std::uint64_t entries = 0;
        std::uint64_t bytes = 0;
    };
    /// Runs the job on an empty directory, and checks what holds for each: that the other directory is as it was, and
    /// that the report says either that it is done or why not.
    Outcome run(ArchiveJob job, const std::vector<ArchiveInput>& inputs);

private:
    explicit ArchiveJobs(std::unique_ptr<PrivateRoot> root);

    std::unique_ptr<PrivateRoot> root_;
    std::string outside_;  ///< what the other directory holds, with modes, owners, link counts and times
};

}  // namespace brokerd::fuzz
