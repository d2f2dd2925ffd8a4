#include "cli/process/ssh_address.h"

#include <fmt/format.h>

#include <catch2/catch.hpp>

namespace brokerd::cli {
namespace {

std::string command(std::string_view text, SshUse use = SshUse::person) {
    const auto address = SshAddress::parse(text);
    REQUIRE(address);
    return fmt::format("{}", fmt::join(ssh_command(*address, use), "|"));
}

TEST_CASE("an ssh:// host becomes ssh's arguments, names behind --", "[cli]") {
    const std::string first = "ssh|-T|-o|ConnectTimeout=30|-o|ServerAliveInterval=30|";
    CHECK(command("ssh://h") == first + "--|h|pluginctl|dial-stdio");
    CHECK(command("ssh://h/") == first + "--|h|pluginctl|dial-stdio");
    CHECK(command("ssh://me@h.example:2222") == first + "-l|me|-p|2222|--|h.example|pluginctl|dial-stdio");
    CHECK(command("ssh://me@example.org@h") == first + "-l|me@example.org|--|h|pluginctl|dial-stdio");
    CHECK(command("ssh://[fe80::1%eth0]:22") == first + "-p|22|--|fe80::1%eth0|pluginctl|dial-stdio");
    CHECK(command("ssh://h/run/b.sock") == first + "--|h|pluginctl|-H|unix:///run/b.sock|dial-stdio");
}

TEST_CASE("for completion ssh asks nobody and gives up soon", "[cli]") {
    CHECK(command("ssh://h", SshUse::completion) ==
          "ssh|-T|-o|ConnectTimeout=3|-o|ServerAliveInterval=30|-o|BatchMode=yes|--|h|pluginctl|dial-stdio");
}

TEST_CASE("what ssh or a shell could take for more than a name is no host", "[cli]") {
    for (const char* text : {"ssh://",        "ssh://-oProxyCommand=x",
                             "ssh://-l",      "ssh://a b",
                             "ssh://a;b",     "ssh://$(id)",
                             "ssh://`id`@h",  "ssh://-u@h",
                             "ssh://@h",      "ssh://u:p@h",
                             "ssh://h:",      "ssh://h:0",
                             "ssh://h:65536", "ssh://h:+1",
                             "ssh://h:ssh",   "ssh://h/a b",
                             "ssh://h/$(id)", "ssh://h/a'b",
                             "ssh://h?x",     "ssh://h#x",
                             "ssh://[::1",    "ssh://[]",
                             "ssh://[-x]",    "ssh://[::1]x",
                             "ssh://h\n",     "ssh://h%h",
                             "ssh:h",         "unix:///x"}) {
        CAPTURE(text);
        const auto address = SshAddress::parse(text);
        REQUIRE_FALSE(address);
        CHECK_THAT(address.error().message, Catch::Contains("ssh://[USER@]HOST[:PORT][/SOCKET]"));
    }
}

}  // namespace
}  // namespace brokerd::cli
