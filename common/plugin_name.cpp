#include "common/plugin_name.h"

#include <fmt/format.h>

#include "common/secrets.h"

namespace brokerd {
namespace {

bool is_name_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view{"_.-:@+"}.find(c) != std::string_view::npos;
}

/// Why `part` cannot be one component of a plugin name; empty where it can.
std::string part_problem(std::string_view part) {
    if (part.empty()) return "it has an empty part";
    if (part.front() == '.') return "a part of it starts with a dot";
    for (const char c : part) {
        if (!is_name_character(c)) return fmt::format("it contains \"{}\"", escaped(std::string_view{&c, 1}));
    }
    return {};
}

}  // namespace

Result<PluginName> PluginName::parse(std::string_view text) {
    const auto refuse = [&](std::string_view why) {
        return fail(
            fmt::format("\"{}\" cannot be a plugin name: {}; use letters, digits and _ . - : @ +, with / between parts",
                        escaped(text, 80), why));
    };
    if (text.empty()) return refuse("it is empty");
    if (text.size() > kMaxBytes) return refuse(fmt::format("it is longer than {} bytes", kMaxBytes));
    for (std::size_t start = 0; start <= text.size();) {
        const std::size_t end = std::min(text.find('/', start), text.size());
        if (const std::string problem = part_problem(text.substr(start, end - start)); !problem.empty())
            return refuse(problem);
        start = end + 1;
    }
    return PluginName{std::string{text}};
}

std::string escaped(std::string_view text, std::size_t limit) {
    std::string out;
    // Before it is cut: half a password would be left of one that reaches beyond the limit.
    const std::string shown = without_secrets(text);
    for (const char c : std::string_view{shown}.substr(0, limit)) {
        if (c >= ' ' && c <= '~' && c != '\\') {
            out += c;
        } else {
            out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        }
    }
    if (shown.size() > limit) out += "...";
    return out;
}

}  // namespace brokerd
