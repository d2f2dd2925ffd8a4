#include "tests/fuzz/checks.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace brokerd::fuzz {
namespace {

/// One sentence may quote several pieces of the input, each escaped and cut.
constexpr std::size_t kLongestSentence = std::size_t{4} << 10;

/// How many bytes the character at the beginning of `text` has; 0 where it is none.
std::size_t character_size(std::string_view text) noexcept {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    if (byte(0) < 0x80) return 1;
    const std::size_t size = byte(0) >= 0xf0 ? 4 : byte(0) >= 0xe0 ? 3 : 2;
    if (byte(0) < 0xc2 || byte(0) > 0xf4 || text.size() < size) return 0;
    for (std::size_t at = 1; at < size; ++at) {
        if ((byte(at) & 0xc0) != 0x80) return 0;
    }
    if (byte(0) == 0xe0 && byte(1) < 0xa0) return 0;                                            // overlong
    if (byte(0) == 0xed && byte(1) >= 0xa0) return 0;                                           // surrogates
    if ((byte(0) == 0xf0 && byte(1) < 0x90) || (byte(0) == 0xf4 && byte(1) >= 0x90)) return 0;  // overlong, too large
    return size;
}

}  // namespace

void expect(bool holds, const char* rule, std::string_view about) {
    if (holds) return;
    const std::string quoted{about.substr(0, 4096)};
    std::fprintf(stderr, "broken rule: %s%s%s\n", rule, about.empty() ? "" : ": ", quoted.c_str());
    std::abort();
}

bool is_utf8(std::string_view text) noexcept {
    while (!text.empty()) {
        const std::size_t size = character_size(text);
        if (size == 0) return false;
        text.remove_prefix(size);
    }
    return true;
}

bool is_printable_line(std::string_view text) noexcept {
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        if (byte < 0x20 || byte == 0x7f) return false;
        if (byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0) return false;  // C1
    }
    return is_utf8(text);
}

bool is_deep(std::string_view json) noexcept {
    constexpr std::ptrdiff_t kDeep = 200;
    return std::count_if(json.begin(), json.end(), [](char c) { return c == '[' || c == '{'; }) > kDeep;
}

void expect_sentence(std::string_view text) {
    expect(!text.empty(), "an error says what is wrong");
    expect(is_printable_line(text), "an error is one line of printable UTF-8", text);
    expect(text.size() <= kLongestSentence, "an error is not as long as what it is about", text);
}

Cuts::Cuts(std::string_view input) noexcept : state_{14695981039346656037U} {
    for (const char c : input) state_ = (state_ ^ static_cast<unsigned char>(c)) * 1099511628211U;  // FNV-1a
}

std::size_t Cuts::below(std::size_t limit) noexcept {
    state_ += 0x9e3779b97f4a7c15U;  // splitmix64
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return static_cast<std::size_t>((z ^ (z >> 31)) % limit);
}

std::size_t Cuts::next(std::size_t left) noexcept {
    const std::size_t longest = below(4) == 0 ? left : std::min<std::size_t>(left, 8);
    return 1 + below(longest);
}

std::vector<std::string> parts_of(std::string_view input, std::size_t count) {
    constexpr std::string_view kBetween = "\n%%\n";
    std::vector<std::string> parts;
    while (parts.size() + 1 < count) {
        const std::size_t end = std::min(input.find(kBetween), input.size());
        parts.emplace_back(input.substr(0, end));
        input.remove_prefix(std::min(end + kBetween.size(), input.size()));
    }
    parts.emplace_back(input);
    return parts;
}

std::vector<std::string> lines_of(std::string_view text) {
    std::vector<std::string> lines;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        lines.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}

}  // namespace brokerd::fuzz
