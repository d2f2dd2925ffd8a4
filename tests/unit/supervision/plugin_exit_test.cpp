#include <signal.h>

#include <catch2/catch.hpp>

#include "daemon/supervision/plugin_runner.h"

using namespace brokerd;
using Kind = PluginExit::Kind;

TEST_CASE("an exit is told in words", "[supervision]") {
    const auto [exit, text] = GENERATE(table<PluginExit, std::string>({
        {{Kind::exited, 0, false, {}, {}}, "exited with status 0"},
        {{Kind::exited, 1, false, "cannot open /dev/fuse", {}}, "exited with status 1: cannot open /dev/fuse"},
        {{Kind::killed, SIGSEGV, false, {}, {}}, "was killed by SIGSEGV"},
        {{Kind::killed, SIGKILL, true, {}, {}}, "was killed: its memory limit was reached"},
        {{Kind::killed, 35, false, {}, {}}, "was killed by signal 35"},
        {{Kind::killed, 4711, false, {}, {}}, "was killed by signal 4711"},
        {{Kind::killed, -1, false, {}, {}}, "was killed by signal -1"},
        {{Kind::exited, 137, true, {}, {}}, "exited with status 137 after its memory limit had been reached"},
        {{Kind::unknown, 0, false, {}, {}}, "ended, nobody saw how"},
        {{Kind::unknown, 0, true, {}, {}}, "ended after its memory limit had been reached"},
    }));
    CHECK(exit.str() == text);
}

TEST_CASE("a plugin's last words cannot play with a terminal, nor fill it", "[supervision]") {
    PluginExit exit{Kind::exited, 1, false, "\x1b[2J", {}};
    CHECK(exit.str() == "exited with status 1: \\x1b[2J");
    exit.last_words = std::string(1'000'000, 'x');
    CHECK(exit.str().size() < 300);
}
