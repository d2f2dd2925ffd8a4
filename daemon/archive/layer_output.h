#pragma once

#include <archive_entry.h>
#include <zlib.h>

#include <cstdint>
#include <exception>
#include <string_view>
#include <vector>

#include "daemon/archive/limits.h"
#include "daemon/archive/pax_writer.h"
#include "daemon/images/sha256.h"

namespace brokerd {

/// Compresses bytes by gzip and writes them to a descriptor. The same input gives the same output: no time, no name.
/// Inside the archive worker; throws Refused.
class GzipOutput {
public:
    explicit GzipOutput(int fd);
    ~GzipOutput() { deflateEnd(&stream_); }
    GzipOutput(const GzipOutput&) = delete;
    GzipOutput& operator=(const GzipOutput&) = delete;

    void write(std::string_view bytes);
    void finish();

private:
    void step(int flush);

    const int fd_;
    std::vector<char> buffer_;
    z_stream stream_{};
};

/// A layer being written: a tar (pax_writer.h), hashed and then compressed.
/// Inside the archive worker; throws Refused.
class LayerOutput {
public:
    LayerOutput(int fd, const ArchiveLimits& limits);

    /// What no layer needs is taken from `entry`: times of access and change, holes, the inode's number.
    void add(archive_entry* entry);
    /// Content of the entry added last.
    void write(std::string_view bytes);
    /// The digest of the uncompressed tar.
    [[nodiscard]] Digest finish();

    [[nodiscard]] std::uint64_t entries() const noexcept { return entries_; }
    [[nodiscard]] std::uint64_t tar_bytes() const noexcept { return tar_bytes_; }

private:
    void take(std::string_view tar) noexcept;
    void check(la_ssize_t status);

    const ArchiveLimits& limits_;
    GzipOutput gzip_;
    Sha256 hash_;
    std::uint64_t entries_ = 0;
    std::uint64_t content_bytes_ = 0;
    std::uint64_t tar_bytes_ = 0;
    std::exception_ptr failure_;  ///< of the output: nothing more is written to it
    PaxWriter writer_;
};

}  // namespace brokerd
