#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "cli/command.h"

/// The help texts are Markdown files, commands/NAME.md, built into the program: one source for `--help` and the manual
/// pages. Of Markdown they use: "# Title", the summary in the next paragraph, "## Section", paragraphs, "- " lists,
/// blocks indented by four blanks, and `code`.
namespace brokerd::cli {

/// The paragraph after the title, in one line.
[[nodiscard]] std::string summary(std::string_view markdown);

/// For a terminal: sections in capitals, no marks.
[[nodiscard]] std::string command_help(const Command& command);
/// The program's own text, with the commands and their summaries under "Commands".
[[nodiscard]] std::string program_help(std::span<const Command> commands);

/// Manual pages in man(7) macros: pluginctl(1), which names the others, and pluginctl-COMMAND(1).
[[nodiscard]] std::string manual_page(std::span<const Command> commands);
[[nodiscard]] std::string manual_page(const Command& command);

/// The manual page of something else, from Markdown of the same kind with "# NAME(SECTION)" as its title; nothing where
/// it has another one.
[[nodiscard]] std::optional<std::string> manual_page(std::string_view markdown);

}  // namespace brokerd::cli
