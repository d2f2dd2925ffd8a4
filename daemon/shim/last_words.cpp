#include "daemon/shim/last_words.h"

#include <algorithm>
#include <utility>

namespace brokerd {
namespace {

/// How many bytes the well-formed character at the beginning of `text` has; 0: there is none (RFC 3629).
std::size_t character_length(std::string_view text) {
    const auto at = [&](std::size_t i) -> unsigned {
        return i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
    };
    const auto goes_on = [&](std::size_t i) { return (at(i) & 0xC0U) == 0x80U; };
    const unsigned first = at(0);
    if (first < 0x80) return 1;
    if (first >= 0xC2 && first <= 0xDF) return goes_on(1) ? 2 : 0;
    if (first >= 0xE0 && first <= 0xEF) {
        const bool overlong = first == 0xE0 && at(1) < 0xA0;
        const bool surrogate = first == 0xED && at(1) >= 0xA0;
        return goes_on(1) && goes_on(2) && !overlong && !surrogate ? 3 : 0;
    }
    if (first >= 0xF0 && first <= 0xF4) {
        const bool outside = (first == 0xF0 && at(1) < 0x90) || (first == 0xF4 && at(1) >= 0x90);
        return goes_on(1) && goes_on(2) && goes_on(3) && !outside ? 4 : 0;
    }
    return 0;
}

/// The length of a sequence that colours a terminal (ECMA-48, CSI) at the beginning of `text`; 0: there is none.
std::size_t colour_length(std::string_view text) {
    if (!text.starts_with("\x1b[")) return 0;
    std::size_t i = 2;
    while (i < text.size() && text[i] >= 0x20 && text[i] <= 0x3F) ++i;
    return i < text.size() && text[i] >= 0x40 && text[i] <= 0x7E ? i + 1 : 0;
}

std::string without_colours(std::string_view text) {
    std::string plain;
    for (std::size_t at = text.find('\x1b'); at != std::string_view::npos; at = text.find('\x1b')) {
        const std::size_t colour = colour_length(text.substr(at));
        plain += text.substr(0, colour > 0 ? at : at + 1);
        text.remove_prefix(at + std::max<std::size_t>(colour, 1));
    }
    return plain.append(text);
}

bool is_control(std::string_view character) {
    const auto first = static_cast<unsigned char>(character[0]);
    if (character.size() == 1) return first < 0x20 || first == 0x7F;
    if (character.size() == 2) return first == 0xC2 && static_cast<unsigned char>(character[1]) < 0xA0;  // C1
    // U+2028 to U+202E and U+2066 to U+2069 break lines and turn the direction of writing.
    const auto third = static_cast<unsigned char>(character.size() == 3 ? character[2] : 0);
    if (character.starts_with("\xE2\x80")) return third >= 0xA8 && third <= 0xAE;
    return character.starts_with("\xE2\x81") && third >= 0xA6 && third <= 0xA9;
}

std::string_view trimmed(std::string_view text) {
    const std::size_t begin = text.find_first_not_of(" \t\r\n");
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

}  // namespace

std::string one_clean_line(std::string_view text, std::size_t limit) {
    constexpr std::string_view kEllipsis = "…";
    std::string line;
    const std::string plain = without_colours(text);
    text = trimmed(plain);
    while (!text.empty()) {
        const std::size_t length = character_length(text);
        const std::string_view character =
            length == 0 || is_control(text.substr(0, length)) ? "?" : text.substr(0, length);
        text.remove_prefix(length == 0 ? 1 : length);
        if (line.size() + character.size() > limit - (text.empty() ? 0 : kEllipsis.size())) return line += kEllipsis;
        line += character;
    }
    return line;
}

std::string explain_exec_failure(const std::string& text) {
    const std::string_view view{text};
    const std::size_t name = view.find("exec /");
    if (name == std::string_view::npos) return text;
    const std::string program{view.substr(name + 5, view.find(": ", name) - name - 5)};
    if (view.ends_with("exec format error")) {
        return "its program " + program + " is for another architecture than this host's, or is no program at all (" +
               text + ")";
    }
    if (name == 0 && view.ends_with(": no such file or directory")) {
        return "its program " + program + " needs an interpreter or loader that is not in its rootfs (" + text + ")";
    }
    return text;
}

void LastWords::heard(std::string_view line, bool partial) {
    const bool goes_on = within_line_;
    within_line_ = partial;
    if (goes_on || final_) return;
    std::string words = one_clean_line(line, kMaxBytes);
    if (words.empty()) return;
    final_ = line.starts_with("panic: ") || line.starts_with("fatal error: ");
    words_ = std::move(words);
}

}  // namespace brokerd
