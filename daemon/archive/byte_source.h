#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

namespace brokerd {

/// A stream of bytes, pulled piece by piece. Inside the archive worker; throws Refused.
class ByteSource {
public:
    virtual ~ByteSource() = default;
    /// The next piece, valid until the next call; empty at the end, and again after that.
    [[nodiscard]] virtual std::string_view next() = 0;
};

/// The bytes of a file or a pipe.
class FdSource : public ByteSource {
public:
    using Progress = std::function<void(std::uint64_t bytes)>;

    /// `progress`, if any, is told of the bytes read so far after each piece.
    FdSource(int fd, Progress progress);

    [[nodiscard]] std::string_view next() override;
    /// The first bytes without taking them; fewer than `count` where the input is shorter. Before the first next()
    /// only.
    [[nodiscard]] std::string_view peek(std::size_t count);
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

private:
    [[nodiscard]] std::size_t read_some(std::size_t offset);

    const int fd_;
    const Progress progress_;
    std::vector<char> buffer_;
    std::size_t peeked_ = 0;
    std::uint64_t bytes_ = 0;
};

enum class Encoding : std::uint8_t { none, gzip, zstd, xz, bzip2 };

/// What the first bytes of a stream say (6 are enough): gzip (RFC 1952), zstd (RFC 8878), xz, bzip2, or none of them.
[[nodiscard]] Encoding guess_encoding(std::string_view first_bytes);

/// Undoes one layer of compression. `source` outlives the result. Checks what the format has for it: gzip's CRC and
/// length, too, which libarchive 3.6.2 does not. Several gzip members in a row are one stream (RFC 1952, 2.2); zeros
/// after the last are padding, anything else is an error.
[[nodiscard]] std::unique_ptr<ByteSource> decompress(ByteSource& source, Encoding encoding);

}  // namespace brokerd
