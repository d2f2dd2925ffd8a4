#include "daemon/archive/escaped_name.h"

#include <fmt/format.h>

namespace brokerd {
namespace {

constexpr std::size_t kShownBytes = 160;

void append_escaped(std::string& out, std::string_view text, bool is_quoted) {
    for (const char byte : text) {
        const bool plain = byte >= ' ' && byte <= '~' && !(is_quoted && (byte == '"' || byte == '\\'));
        if (plain) {
            out += byte;
        } else {
            fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(byte));
        }
    }
}

}  // namespace

std::string escaped_name(std::string_view name) {
    std::string out = "\"";
    if (name.size() <= kShownBytes) {
        append_escaped(out, name, true);
    } else {
        append_escaped(out, name.substr(0, kShownBytes / 2), true);
        out += " ... ";
        append_escaped(out, name.substr(name.size() - kShownBytes / 2), true);
    }
    return out + '"';
}

std::string escaped_text(std::string_view text, std::size_t limit) {
    std::string out;
    append_escaped(out, text.substr(0, limit), false);
    return out;
}

}  // namespace brokerd
