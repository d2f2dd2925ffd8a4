#pragma once

#include <chrono>
#include <cstdint>

namespace brokerd {

/// What one archive, or one set of layers, may ask for at most. All figures are ours: far above what real plugins need
/// (the largest published ones have some 10,000 entries), far below what hurts a host.
struct ArchiveLimits {
    std::uint64_t entries = 1'000'000;                     ///< in all layers together
    std::uint64_t bytes = std::uint64_t{16} << 30;         ///< sum of the files' sizes, holes included
    std::uint64_t stream_bytes = std::uint64_t{24} << 30;  ///< of one uncompressed tar
    std::uint32_t ratio = 1000;                            ///< uncompressed : compressed, once past ratio_from
    std::uint64_t ratio_from = std::uint64_t{64} << 20;    ///< uncompressed bytes that may be pure air
    std::uint32_t path_bytes = 4096;                       ///< Linux' PATH_MAX
    std::uint32_t name_bytes = 255;                        ///< Linux' NAME_MAX
    std::uint32_t depth = 1024;                            ///< path components
    std::uint64_t xattr_bytes = std::uint64_t{256} << 10;  ///< names and values of one entry's extended attributes
    std::uint32_t links = 65'000;                          ///< of one file: ext4's limit (Linux, fs/ext4/ext4.h)
    /// What the worker may allocate. Decompressors need little with what registries hold (gzip 64 KiB, zstd up to level
    /// 19: 8 MiB); more is asked for only by archives made to hurt, and by `xz -9`.
    std::uint64_t memory = std::uint64_t{20} << 20;
    std::chrono::seconds cpu_time{900};
    std::chrono::seconds time{3600};  ///< the worker is killed then
};

}  // namespace brokerd
