#include "common/base64.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace brokerd {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int value_of(char c) {
    if (c == '-') c = '+';
    if (c == '_') c = '/';
    const std::size_t at = kAlphabet.find(c);
    return at == kAlphabet.npos ? -1 : static_cast<int>(at);
}

}  // namespace

std::string base64_encoded(std::string_view bytes) {
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        const std::string_view piece = bytes.substr(at, 3);
        std::uint32_t bits = 0;
        for (std::size_t i = 0; i < 3; ++i) {
            bits = bits << 8U | (i < piece.size() ? static_cast<unsigned char>(piece[i]) : 0U);
        }
        for (std::size_t i = 0; i < 4; ++i) {
            text += i <= piece.size() ? kAlphabet[bits >> (18 - 6 * i) & 63U] : '=';
        }
    }
    return text;
}

std::string base64url_encoded(std::string_view bytes) {
    std::string text = base64_encoded(bytes);
    std::replace(text.begin(), text.end(), '+', '-');
    std::replace(text.begin(), text.end(), '/', '_');
    return text;
}

std::optional<std::string> base64_decoded(std::string_view text) {
    while (text.ends_with('=') && text.size() % 4 == 0) text.remove_suffix(text.ends_with("==") ? 2 : 1);
    if (text.size() % 4 == 1) return std::nullopt;
    std::string bytes;
    bytes.reserve(text.size() / 4 * 3 + 2);
    std::uint32_t bits = 0;
    unsigned count = 0;
    for (const char c : text) {
        const int value = value_of(c);
        if (value < 0) return std::nullopt;
        bits = bits << 6U | static_cast<std::uint32_t>(value);
        count += 6;
        if (count < 8) continue;
        count -= 8;
        bytes += static_cast<char>(bits >> count & 0xffU);
    }
    if ((bits & ((1U << count) - 1)) != 0) return std::nullopt;  // bits that no encoder leaves set
    return bytes;
}

}  // namespace brokerd
