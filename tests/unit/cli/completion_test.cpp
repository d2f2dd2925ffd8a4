#include <array>
#include <catch2/catch.hpp>
#include <cstdio>
#include <memory>

#include "tests/unit/cli/run_cli.h"

namespace brokerd::cli {
namespace {

/// What bash offers for `line` with the script loaded, sorted; `names` is what `pluginctl ls -q` would print.
std::string offered(const std::string& line, const std::string& names = "") {
    const UniqueFd script{::memfd_create("script", 0)};
    const std::string text = run_cli({"completion", "bash"}).out + "pluginctl() { cat <<'END'\n" + names +
                             "\nEND\n}\n" +
                             "COMP_LINE=$1 COMP_POINT=${#1}; read -ra COMP_WORDS <<<\"$1\"\n"
                             "[[ $1 == *' ' ]] && COMP_WORDS+=('')\n"
                             "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _pluginctl\n"
                             "printf '%s\\n' \"${COMPREPLY[@]}\" | sort | tr '\\n' ' '\n";
    REQUIRE(::write(script.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    const std::string command =
        "bash /proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(script.get()) + " '" + line + "' 2>&1";
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe{::popen(command.c_str(), "r"), ::pclose};
    REQUIRE(pipe);
    std::string out;
    std::array<char, 512> piece{};
    while (std::fgets(piece.data(), static_cast<int>(piece.size()), pipe.get()) != nullptr) out += piece.data();
    return out.substr(0, out.find_last_not_of(' ') + 1);
}

TEST_CASE("bash completes commands, flags, shells and names", "[cli]") {
    CHECK(offered("pluginctl insp") == "inspect");
    CHECK(offered("pluginctl --v") == "--version");
    CHECK(offered("pluginctl ls --no") == "--no-trunc");
    CHECK(offered("pluginctl -H /x list --q") == "--quiet");
    CHECK(offered("pluginctl completion ba") == "bash");
    CHECK(offered("pluginctl inspect s", "sshfs\nnfs\nvieux/sshfs:latest") == "sshfs");
    CHECK(offered("pluginctl inspect a ", "sshfs\nnfs").find("nfs sshfs") != std::string::npos);
    CHECK(offered("pluginctl inspect vieux/sshfs:l", "vieux/sshfs:latest") == "latest");
    CHECK(offered("pluginctl ls s", "sshfs").empty());
}

TEST_CASE("bash never runs or offers a name that is a command", "[cli]") {
    CHECK(offered("pluginctl inspect x", "x$(echo pwned >&2)\nx`id`\nx;y\nx y\nxx") == "xx");
}

TEST_CASE("the scripts for zsh and fish ask for live names", "[cli]") {
    const std::string zsh = run_cli({"completion", "zsh"}).out;
    CHECK_THAT(zsh, Catch::StartsWith("#compdef pluginctl\n"));
    CHECK_THAT(zsh, Catch::Contains("pluginctl ls -q 2>/dev/null"));
    const std::string fish = run_cli({"completion", "fish"}).out;
    CHECK_THAT(fish, Catch::Contains("-a ls -d 'List the plugins'"));
    CHECK_THAT(fish, Catch::Contains("-a '(pluginctl ls -q 2>/dev/null)'"));
}

}  // namespace
}  // namespace brokerd::cli
