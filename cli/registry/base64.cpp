#include "cli/registry/base64.h"

#include <cstdint>

namespace brokerd::cli {
namespace {

constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

}  // namespace

std::string base64url(std::string_view bytes) {
    const std::string alphabet = std::string{kLetters} + "-_";
    std::string out;
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        const std::string_view group = bytes.substr(at, 3);
        std::uint32_t bits = 0;
        for (std::size_t i = 0; i < 3; ++i)
            bits = bits << 8 | (i < group.size() ? static_cast<unsigned char>(group[i]) : 0u);
        for (std::size_t i = 0; i < 4; ++i) out += i <= group.size() ? alphabet[bits >> (18 - 6 * i) & 63u] : '=';
    }
    return out;
}

std::optional<std::string> from_base64(std::string_view text) {
    const std::string alphabet = std::string{kLetters} + "+/";
    if (text.size() % 4 != 0) return std::nullopt;
    std::string out;
    for (std::size_t at = 0; at < text.size(); at += 4) {
        std::uint32_t bits = 0;
        std::size_t letters = 0;
        for (; letters < 4 && alphabet.find(text[at + letters]) != std::string::npos; ++letters) {
            bits |= static_cast<std::uint32_t>(alphabet.find(text[at + letters])) << (18 - 6 * letters);
        }
        if (letters < 2) return std::nullopt;
        const std::string_view rest = text.substr(at + letters);  // of the last four: "", "=" or "=="
        if (letters < 4 && rest != std::string(4 - letters, '=')) return std::nullopt;
        for (std::size_t i = 0; i + 1 < letters; ++i) out += static_cast<char>(bits >> (16 - 8 * i) & 0xffu);
    }
    return out;
}

}  // namespace brokerd::cli
