#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "common/os/unique_fd.h"
#include "common/result.h"
#include "daemon/images/image_manifest.h"

namespace brokerd {

/// The path of a blob within a layout: "blobs/sha256/HEX".
[[nodiscard]] std::string layout_blob_path(const Digest& digest);

/// Reads the files of a directory that a stranger made: regular files below it only, whatever it has for links, mounts
/// or pipes in their places. Errors are sentences about "the layout". Lifetime: borrows the directory.
class LayoutFiles {
public:
    struct File {
        UniqueFd fd;
        std::uint64_t size = 0;
    };

    explicit LayoutFiles(int directory) noexcept : directory_{directory} {}

    [[nodiscard]] Result<File> open(const std::string& path) const;
    /// The whole file, which has at most `limit` bytes.
    [[nodiscard]] Result<std::string> read(const std::string& path, std::size_t limit) const;
    /// The file of a blob, which is as long as announced; its content is not looked at.
    [[nodiscard]] Result<File> open_blob(const Descriptor& blob) const;
    /// A blob in memory, verified. Precondition: the announced size is one to hold in memory.
    [[nodiscard]] Result<std::string> read_blob(const Descriptor& blob) const;

private:
    int directory_;
};

}  // namespace brokerd
