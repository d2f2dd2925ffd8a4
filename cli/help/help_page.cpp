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

/// A backslash, and what man(7) would take for a request at the start of a line, made plain.
std::string roff_text(std::string_view text, bool marks) {
    std::string out;
    bool bold = false;
    for (const char c : text) {
        if (c == '`' && marks) {
            bold = !bold;
            out += bold ? "\\fB" : "\\fR";
        } else if (c == '\\') {
            out += "\\e";
        } else if (c == '-') {
            out += "\\-";
        } else {
            out += c;
        }
    }
    if (!out.empty() && (out.front() == '.' || out.front() == '\'')) out.insert(0, "\\&");
    return out;
}

/// The body of a help text; `nested` is for a command, whose sections are parts of the page's section COMMANDS.
std::string to_roff(std::string_view markdown, bool nested) {
    std::string out;
    Kind before = Kind::blank;
    for (const Line& line : lines(markdown)) {
        if (before == Kind::example && line.kind != Kind::example && line.kind != Kind::blank) out += ".fi\n.RE\n";
        const bool in_example = before == Kind::example && line.kind == Kind::blank;
        switch (line.kind) {
            case Kind::title:
                if (nested) out += fmt::format(".SS {}\n", roff_text(line.text, true));
                break;
            case Kind::section:
                out += nested ? fmt::format(".PP\n.I {}\n", roff_text(line.text, true))
                              : fmt::format(".SH {}\n", capitals(line.text));
                break;
            case Kind::item: {
                const std::size_t colon = std::min(line.text.find(": "), line.text.size());
                out += fmt::format(".TP\n{}\n", roff_text(line.text.substr(0, colon), true));
                if (colon < line.text.size()) out += roff_text(line.text.substr(colon + 2), true) + '\n';
                break;
            }
            case Kind::example:
                if (before != Kind::example) out += ".RS 4\n.nf\n";
                out += roff_text(line.text, false) + '\n';
                break;
            case Kind::text:
                if (before == Kind::blank) out += ".PP\n";
                out += roff_text(line.text, true) + '\n';
                break;
            case Kind::blank:
                break;
        }
        if (!in_example) before = line.kind;
    }
    if (before == Kind::example) out += ".fi\n.RE\n";
    return out;
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
    std::string out = fmt::format(".TH PLUGINCTL 1 \"\" \"brokerd {}\" \"User Commands\"\n.SH NAME\npluginctl \\- {}\n",
                                  BROKERD_VERSION, summary(help::pluginctl));
    out += to_roff(before.substr(std::min(before.find("\n## "), before.size()) + 1), false);
    for (const Command& command : commands) out += to_roff(command.help, true);
    return out + to_roff(after, false);
}

}  // namespace brokerd::cli
