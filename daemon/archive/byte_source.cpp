#include "daemon/archive/byte_source.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "common/os/system_error.h"
#include "daemon/archive/refused.h"

namespace brokerd {
namespace {

/// Few system calls, and still in the processor's cache when the next stage reads it.
constexpr std::size_t kPieceBytes = std::size_t{128} << 10;

}  // namespace

FdSource::FdSource(int fd, Progress progress) : fd_{fd}, progress_{std::move(progress)}, buffer_(kPieceBytes) {}

std::size_t FdSource::read_some(std::size_t offset) {
    for (;;) {
        const ssize_t got = read(fd_, buffer_.data() + offset, buffer_.size() - offset);
        if (got >= 0) return static_cast<std::size_t>(got);
        if (errno != EINTR) throw Refused{fmt::format("cannot be read: {}", errno_text(errno))};
    }
}

std::string_view FdSource::peek(std::size_t count) {
    while (peeked_ < count) {
        const std::size_t got = read_some(peeked_);
        if (got == 0) break;
        peeked_ += got;
    }
    return {buffer_.data(), std::min(peeked_, count)};
}

std::string_view FdSource::next() {
    const std::size_t got = peeked_ > 0 ? peeked_ : read_some(0);
    peeked_ = 0;
    bytes_ += got;
    if (progress_) progress_(bytes_);
    return {buffer_.data(), got};
}

Encoding guess_encoding(std::string_view first_bytes) {
    using namespace std::string_view_literals;
    if (first_bytes.starts_with("\x1f\x8b"sv)) return Encoding::gzip;
    if (first_bytes.starts_with("\x28\xb5\x2f\xfd"sv)) return Encoding::zstd;
    if (first_bytes.size() >= 4 && first_bytes.substr(1, 3) == "\x2a\x4d\x18"sv && (first_bytes[0] & 0xf0) == 0x50)
        return Encoding::zstd;  // a skippable frame (RFC 8878, 3.1.2), as some writers put first
    if (first_bytes.starts_with("\xfd"
                                "7zXZ\0"sv))
        return Encoding::xz;
    if (first_bytes.starts_with("BZh"sv)) return Encoding::bzip2;
    return Encoding::none;
}

}  // namespace brokerd
