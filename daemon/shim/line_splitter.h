#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>

#include "daemon/shim/log_files.h"

namespace brokerd {

/// Cuts a stream of bytes into lines, in a buffer of fixed size. What is longer than the buffer comes in parts, each
/// but the last marked as partial; a character of UTF-8 is not cut in two. Thread: one.
class LineSplitter {
public:
    /// Where to read more bytes to; never empty.
    [[nodiscard]] std::span<char> room() noexcept { return std::span{buffer_}.subspan(size_); }

    /// `count` bytes have been read to room(): calls `take(std::string_view line, bool partial)` for each line that is
    /// whole now, without its line feed.
    template <class Take>
    void added(std::size_t count, Take take) {
        std::size_t searched = size_;
        size_ += count;
        std::size_t begin = 0;
        for (;;) {
            const char* const found = static_cast<const char*>(std::memchr(&buffer_[searched], '\n', size_ - searched));
            if (found == nullptr) break;
            const auto end = static_cast<std::size_t>(found - buffer_.data());
            take(std::string_view{&buffer_[begin], end - begin}, false);
            begin = searched = end + 1;
            if (begin == size_) break;
        }
        if (begin == 0 && size_ == buffer_.size()) {
            begin = last_boundary();
            take(std::string_view{buffer_.data(), begin}, true);
        }
        std::memmove(buffer_.data(), buffer_.data() + begin, size_ - begin);
        size_ -= begin;
    }

    /// The stream has ended, maybe without a line feed.
    template <class Take>
    void end(Take take) {
        if (size_ > 0) take(std::string_view{buffer_.data(), size_}, false);
        size_ = 0;
    }

private:
    /// Before a character at the end that has begun and is not whole, if there is one.
    [[nodiscard]] std::size_t last_boundary() const noexcept {
        constexpr std::size_t kLongestCharacter = 4;
        for (std::size_t back = 1; back < kLongestCharacter; ++back) {
            const auto byte = static_cast<unsigned char>(buffer_[size_ - back]);
            const bool continues = (byte & 0xC0) == 0x80;
            if (continues) continue;
            const std::size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
            return length > back ? size_ - back : size_;
        }
        return size_;
    }

    std::array<char, log_files::kMaxMessageBytes> buffer_;  // NOLINT(cppcoreguidelines-pro-type-member-init): see size_
    std::size_t size_ = 0;
};

}  // namespace brokerd
