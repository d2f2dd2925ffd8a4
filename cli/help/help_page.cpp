#include "cli/help/help_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <vector>

#include "cli/help/texts.h"

namespace brokerd::cli {
namespace {

constexpr std::size_t kTerminalWidth = 110;
constexpr std::size_t kTermColumns = 30;

enum class Kind { title, section, item, example, text, blank };

struct Line {
    Kind kind;
    std::string_view text;  ///< without the mark
};

Line classify(std::string_view line) {
    const auto starts = [&](std::string_view mark) { return line.substr(0, mark.size()) == mark; };
    if (line.empty()) return {Kind::blank, line};
    if (starts("# ")) return {Kind::title, line.substr(2)};
    if (starts("## ")) return {Kind::section, line.substr(3)};
    if (starts("- ")) return {Kind::item, line.substr(2)};
    if (starts("    ")) return {Kind::example, line.substr(4)};
    return {Kind::text, line};
}

std::vector<Line> lines(std::string_view markdown) {
    std::vector<Line> out;
    while (!markdown.empty()) {
        const std::size_t end = std::min(markdown.find('\n'), markdown.size());
        out.push_back(classify(markdown.substr(0, end)));
        markdown.remove_prefix(std::min(end + 1, markdown.size()));
    }
    return out;
}

std::string capitals(std::string_view text) {
    std::string out{text};
    std::transform(out.begin(), out.end(), out.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return out;
}

std::string without_marks(std::string_view text) {
    std::string out{text};
    out.erase(std::remove(out.begin(), out.end(), '`'), out.end());
    return out;
}

std::string name_and_alias(const Command& command) {
    return command.alias.empty() ? std::string{command.name} : fmt::format("{}, {}", command.name, command.alias);
}

/// `text` in lines of at most kTerminalWidth, each after `indent` blanks; the first goes behind what is already there.
std::string wrapped(std::string_view text, std::size_t indent) {
    std::string out;
    std::size_t column = indent;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(' '), text.size());
        if (column > indent && column + 1 + end > kTerminalWidth) {
            out += '\n' + std::string(indent, ' ');
            column = indent;
        } else if (column > indent) {
            out += ' ';
            ++column;
        }
        out += text.substr(0, end);
        column += end;
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return out;
}

/// "TERM: explanation" in two columns, with the explanation below where the term is long.
std::string two_columns(const std::string& item) {
    const std::size_t colon = std::min(item.find(": "), item.size());
    std::string out = "  " + item.substr(0, colon);
    if (colon == item.size()) return out;
    out += out.size() + 2 > kTermColumns ? '\n' + std::string(kTermColumns, ' ')
                                         : std::string(kTermColumns - out.size(), ' ');
    return out + wrapped(std::string_view{item}.substr(colon + 2), kTermColumns);
}

std::string to_terminal(std::string_view markdown) {
    std::string out;
    for (const Line& line : lines(markdown)) {
        const std::string text = without_marks(line.text);
        switch (line.kind) {
            case Kind::title:
                out += text;
                break;
            case Kind::section:
                out += capitals(text);
                break;
            case Kind::item:
                out += two_columns(text);
                break;
            case Kind::text:
                out += "  " + text;
                break;
            case Kind::example:
                out += "    ";
                out += line.text;
                break;
            case Kind::blank:
                break;
        }
        out += '\n';
    }
    return out;
}

/// The first character of `text`, which is UTF-8 and not ASCII, as roff writes it in ASCII.
std::string roff_character(std::string_view text) {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(at < text.size() ? text[at] : 0); };
    const unsigned length = byte(0) >= 0xF0 ? 4 : byte(0) >= 0xE0 ? 3 : 2;
    unsigned code = byte(0) & (0x7Fu >> length);
    for (std::size_t i = 1; i < length; ++i) code = code << 6 | (byte(i) & 0x3Fu);
    return fmt::format("\\[u{:04X}]", code);
}

/// A backslash, and what man(7) would take for a request at the start of a line, made plain.
std::string roff_text(std::string_view text, bool marks) {
    std::string out;
    bool bold = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '`' && marks) {
            bold = !bold;
            out += bold ? "\\fB" : "\\fR";
        } else if (c == '\\') {
            out += "\\e";
        } else if (c == '-') {
            out += "\\-";
        } else if (static_cast<unsigned char>(c) >= 0x80) {
            out += roff_character(text.substr(i));
            while (i + 1 < text.size() && (static_cast<unsigned char>(text[i + 1]) & 0xC0) == 0x80) ++i;
        } else {
            out += c;
        }
    }
    if (!out.empty() && (out.front() == '.' || out.front() == '\'')) out.insert(0, "\\&");
    return out;
}

/// The heading of a section: manual pages call the usage so.
std::string section_heading(std::string_view name) {
    return name == "Usage" ? "SYNOPSIS" : capitals(name);
}

/// A help text from its first section on: what stands before is the page's NAME.
std::string to_roff(std::string_view markdown) {
    std::string out;
    Kind before = Kind::blank;
    for (const Line& line : lines(markdown)) {
        if (before == Kind::example && line.kind != Kind::example && line.kind != Kind::blank) {
            out += ".fi\n.RE\n";
            before = Kind::blank;
        }
        const bool in_example = before == Kind::example && line.kind == Kind::blank;
        switch (line.kind) {
            case Kind::section:
                out += fmt::format(".SH {}\n", section_heading(line.text));
                break;
            case Kind::item: {
                const std::size_t colon = std::min(line.text.find(": "), line.text.size());
                out += fmt::format(".TP\n{}\n", roff_text(line.text.substr(0, colon), true));
                if (colon < line.text.size()) out += roff_text(line.text.substr(colon + 2), true) + '\n';
                break;
            }
            case Kind::example:
                if (before != Kind::example) out += ".PP\n.RS 4\n.nf\n";
                out += roff_text(line.text, false) + '\n';
                break;
            case Kind::text:
                if (before == Kind::blank) out += ".PP\n";
                out += roff_text(line.text, true) + '\n';
                break;
            case Kind::title:
            case Kind::blank:
                break;
        }
        if (!in_example) before = line.kind;
    }
    if (before == Kind::example) out += ".fi\n.RE\n";
    return out;
}

std::string page_name(const Command& command) {
    return fmt::format("pluginctl-{}", command.name);
}

/// What the sections of the manual are called.
std::string_view manual_name(char section) {
    switch (section) {
        case '1':
            return "User Commands";
        case '5':
            return "File Formats";
        case '8':
            return "System Administration";
        default:
            return "";
    }
}

/// What every page begins with. `name` as it is typed.
std::string page_head(std::string_view name, std::string_view markdown, char section = '1') {
    return fmt::format(".TH \"{}\" {} \"\" \"brokerd {}\" \"{}\"\n.SH NAME\n{} \\- {}\n", capitals(name), section,
                       BROKERD_VERSION, manual_name(section), roff_text(name, false),
                       roff_text(summary(markdown), false));
}

std::string_view from_first_section(std::string_view markdown) {
    return markdown.substr(std::min(markdown.find("\n## "), markdown.size() - 1) + 1);
}

/// Cuts the program's text where the commands belong: after the heading "## Commands".
std::pair<std::string_view, std::string_view> around_commands() {
    constexpr std::string_view kHeading = "## Commands\n";
    const std::size_t at = help::pluginctl.find(kHeading) + kHeading.size();
    return {help::pluginctl.substr(0, at), help::pluginctl.substr(at)};
}

}  // namespace

std::string summary(std::string_view markdown) {
    std::string out;
    for (const Line& line : lines(markdown)) {
        if (line.kind == Kind::title) continue;
        if (line.kind != Kind::text && !out.empty()) break;
        if (line.kind != Kind::text) continue;
        if (!out.empty()) out += ' ';
        out += without_marks(line.text);
    }
    return out;
}

std::string command_help(const Command& command) {
    return to_terminal(command.help);
}

std::string program_help(std::span<const Command> commands) {
    const auto [before, after] = around_commands();
    std::string out = to_terminal(before);
    out += '\n';
    for (const Command& command : commands) {
        out += fmt::format("  {:<12}{}\n", name_and_alias(command), summary(command.help));
    }
    return out + to_terminal(after);
}

std::string manual_page(std::span<const Command> commands) {
    const auto [before, after] = around_commands();
    std::string out = page_head("pluginctl", help::pluginctl) + to_roff(from_first_section(before));
    for (const Command& command : commands) {
        out += fmt::format(".TP\n\\fB{}\\fR\n{}; see\n.BR {} (1).\n", roff_text(name_and_alias(command), false),
                           roff_text(summary(command.help), false), roff_text(page_name(command), false));
    }
    return out + to_roff(after);
}

std::string manual_page(const Command& command) {
    return page_head(page_name(command), command.help) + to_roff(from_first_section(command.help)) +
           ".SH SEE ALSO\n.BR pluginctl (1)\n";
}

std::optional<std::string> manual_page(std::string_view markdown) {
    const Line title = classify(markdown.substr(0, markdown.find('\n')));
    const std::size_t open = title.text.rfind('(');
    const bool whole = title.kind == Kind::title && open != std::string_view::npos && open + 3 == title.text.size() &&
                       title.text.ends_with(')') && !manual_name(title.text[open + 1]).empty();
    if (!whole) return std::nullopt;
    return page_head(title.text.substr(0, open), markdown, title.text[open + 1]) +
           to_roff(from_first_section(markdown));
}

}  // namespace brokerd::cli
