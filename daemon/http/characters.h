#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "common/letter_case.h"

namespace brokerd {

/// The character classes of RFC 9110 5.6 and RFC 3986, as one table look-up.
enum CharacterClass : std::uint8_t {
    kTokenCharacter = 1,   ///< RFC 9110 5.6.2: tchar
    kValueCharacter = 2,   ///< RFC 9110 5.5: visible ASCII, obs-text, blank and tab
    kTargetCharacter = 4,  ///< visible ASCII without '#', which no request target can have
    kRegNameCharacter = 8  ///< RFC 3986 3.2.2: unreserved and sub-delims
};

consteval std::array<std::uint8_t, 256> make_character_classes() {
    std::array<std::uint8_t, 256> classes{};
    const auto add = [&classes](std::string_view characters, std::uint8_t kind) {
        for (const char c : characters) classes[static_cast<unsigned char>(c)] |= kind;
    };
    for (unsigned c = 0; c < 256; ++c) {
        const bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (alphanumeric) classes[c] |= kTokenCharacter | kRegNameCharacter;
        if (c == '\t' || (c >= 0x20 && c != 0x7f)) classes[c] |= kValueCharacter;
        if (c > 0x20 && c < 0x7f && c != '#') classes[c] |= kTargetCharacter;
    }
    add("!#$%&'*+-.^_`|~", kTokenCharacter);
    add("-._~!$&'()*+,;=", kRegNameCharacter);
    return classes;
}

inline constexpr std::array<std::uint8_t, 256> kCharacterClasses = make_character_classes();

[[nodiscard]] inline bool is_of(char c, CharacterClass kind) noexcept {
    return (kCharacterClasses[static_cast<unsigned char>(c)] & kind) != 0;
}

/// The first character of `text` that is not of `kind`, or its size.
[[nodiscard]] inline std::size_t span_of(std::string_view text, CharacterClass kind) noexcept {
    std::size_t i = 0;
    while (i < text.size() && is_of(text[i], kind)) ++i;
    return i;
}

/// Whether `text` holds field value characters alone. Eight at a time: values are most of a head's bytes.
[[nodiscard]] inline bool is_field_value(std::string_view text) noexcept {
    static constexpr std::uint64_t kOnes = 0x0101010101010101;
    static constexpr std::uint64_t kHighBits = 0x8080808080808080;
    const char* at = text.data();
    const char* const end = at + text.size();
    for (; end - at >= 8; at += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, at, sizeof word);
        const std::uint64_t controls = (word - kOnes * 0x20) & ~word & kHighBits;  // some byte is below 0x20
        const std::uint64_t xored = word ^ (kOnes * 0x7f);
        const std::uint64_t deletes = (xored - kOnes) & ~xored & kHighBits;                     // some byte is 0x7f
        if ((controls | deletes) != 0 && span_of({at, 8}, kValueCharacter) != 8) return false;  // a tab is none
    }
    const std::string_view rest{at, static_cast<std::size_t>(end - at)};
    return span_of(rest, kValueCharacter) == rest.size();
}

/// equals_ignoring_case() where `lower` is known to be in lower case.
[[nodiscard]] inline bool equals_lower(std::string_view text, std::string_view lower) noexcept {
    if (text.size() != lower.size()) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (to_lower(text[i]) != lower[i]) return false;
    }
    return true;
}

[[nodiscard]] inline bool is_digit(char c) noexcept {
    return c >= '0' && c <= '9';
}

/// The value of a hexadecimal digit, or -1.
[[nodiscard]] constexpr int hex_value(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

[[nodiscard]] inline std::string_view trim_blanks(std::string_view text) noexcept {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

}  // namespace brokerd
