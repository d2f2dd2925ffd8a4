#include "cli/command_table.h"

#include <CLI/CLI.hpp>
#include <catch2/catch.hpp>
#include <set>

#include "cli/help/help_page.h"
#include "tests/unit/cli/run_cli.h"

namespace brokerd::cli {
namespace {

/// The flags that a help text explains: the words with dashes before the colon of each item under "## Options".
std::set<std::string> documented_flags(std::string_view help) {
    std::set<std::string> flags;
    const std::size_t options = help.find("## Options");
    for (std::size_t at = help.find("\n- `", options); at != std::string_view::npos; at = help.find("\n- `", at + 1)) {
        std::string term{help.substr(at + 4, help.find('`', at + 4) - at - 4)};
        std::replace(term.begin(), term.end(), ',', ' ');
        std::istringstream words{term};
        for (std::string word; words >> word;) {
            if (word.front() == '-') flags.insert(word);
        }
    }
    return flags;
}

std::set<std::string> declared_flags(const Command& command) {
    CLI::App app;
    app.set_help_flag("-h,--help");
    app.add_option("-H,--host");
    const Run run = command.declare(app);
    std::set<std::string> flags;
    for (const CLI::Option* option : app.get_options()) {
        for (const std::string& name : option->get_snames()) flags.insert("-" + name);
        for (const std::string& name : option->get_lnames()) flags.insert("--" + name);
    }
    return flags;
}

TEST_CASE("every command explains exactly the flags it has", "[cli]") {
    for (const Command& command : command_table()) {
        CAPTURE(command.name);
        CHECK(documented_flags(command.help) == declared_flags(command));
    }
}

TEST_CASE("every command has a title, a summary, and a name of its own", "[cli]") {
    std::set<std::string_view> names;
    for (const Command& command : command_table()) {
        CAPTURE(command.name);
        CHECK_THAT(std::string{command.help}, Catch::StartsWith("# pluginctl " + std::string{command.name} + "\n\n"));
        CHECK_FALSE(summary(command.help).empty());
        CHECK(summary(command.help).find('\'') == std::string::npos);  // it stands in quotes in fish's script
        CHECK(names.insert(command.name).second);
        if (!command.alias.empty()) CHECK(names.insert(command.alias).second);
        CHECK_THAT(program_help(command_table()), Catch::Contains(summary(command.help)));
    }
}

/// Whether every line is text or one of the requests that the pages use, and none is empty.
void check_requests(const std::string& page) {
    const std::set<std::string> known{".TH", ".SH", ".PP", ".TP", ".RS", ".RE", ".nf", ".fi", ".BR"};
    std::istringstream lines{page};
    for (std::string line; std::getline(lines, line);) {
        CAPTURE(line);
        if (line.front() == '.') CHECK(known.count(line.substr(0, line.find(' '))) == 1);
        CHECK_FALSE(line.empty());
    }
}

TEST_CASE("every command has a manual page, and the program's page names them all", "[cli]") {
    const std::string page = run_cli({"--man-page"}).out;
    CHECK_THAT(page, Catch::StartsWith(".TH \"PLUGINCTL\" 1") && Catch::Contains(".SH SYNOPSIS\n"));
    check_requests(page);
    for (const Command& command : command_table()) {
        const std::string name{command.name};
        CAPTURE(name);
        CHECK_THAT(page, Catch::Contains("\n.BR pluginctl\\-" +
                                         std::string{name == "dial-stdio" ? "dial\\-stdio" : name} + " (1).\n"));
        const Ran own = run_cli({"--man-page", name.c_str()});
        CHECK(own.status == 0);
        CHECK_THAT(own.out, Catch::StartsWith(".TH \"PLUGINCTL\\-") || Catch::StartsWith(".TH \"PLUGINCTL-"));
        CHECK_THAT(own.out, Catch::Contains(".SH SYNOPSIS\n") && Catch::Contains(".SH OPTIONS\n") &&
                                Catch::EndsWith(".BR pluginctl (1)\n"));
        check_requests(own.out);
    }
    CHECK(run_cli({"--man-page", "list"}).out == run_cli({"--man-page", "ls"}).out);
    CHECK(run_cli({"--man-page", "nonsense"}).status == 2);
}

}  // namespace
}  // namespace brokerd::cli
