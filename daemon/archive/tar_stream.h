#pragma once

#include <archive.h>
#include <archive_entry.h>

#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string_view>

#include "daemon/archive/byte_source.h"
#include "daemon/archive/limits.h"
#include "daemon/images/sha256.h"

namespace brokerd {

/// One tar, read entry by entry by libarchive from compressed bytes; its uncompressed bytes are counted on the way, and
/// hashed where somebody wants it. Inside the archive worker; throws Refused.
class TarStream {
public:
    /// `file` outlives the stream, `limits` too.
    TarStream(FdSource& file, Encoding encoding, const ArchiveLimits& limits, bool hashed = false);

    /// The next entry, valid until the next call; null at the tar's end. What libarchive only warns of is refused, too:
    /// nobody would see the warning.
    [[nodiscard]] archive_entry* next();

    struct Block {
        std::string_view bytes;
        std::uint64_t offset = 0;  ///< in the file: sparse files have holes between blocks
    };
    /// The current entry's next block of content; one with no bytes at its end.
    [[nodiscard]] Block next_block();

    /// Reads what follows the tar's end.
    void finish();
    /// Of all its bytes, once it is finished. Precondition: it is hashed.
    [[nodiscard]] Digest digest() { return hash_->finish(); }
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

private:
    struct Free {
        void operator()(archive* reader) const noexcept { archive_read_free(reader); }
    };

    static la_ssize_t on_read(archive* reader, void* self, const void** bytes) noexcept;
    [[nodiscard]] std::string_view pull();
    void check(int status);

    FdSource& file_;
    const ArchiveLimits& limits_;
    const std::unique_ptr<ByteSource> source_;
    std::optional<Sha256> hash_;
    std::uint64_t bytes_ = 0;
    std::exception_ptr failure_;
    std::unique_ptr<archive, Free> reader_;
};

}  // namespace brokerd
