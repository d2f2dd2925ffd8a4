#include <csignal>

#include <catch2/catch.hpp>

#include "tests/unit/cli/run_cli.h"
#include "tests/unit/common/scripted_server.h"

namespace brokerd::cli {
namespace {

TEST_CASE("wrong arguments are one line and status 2", "[cli]") {
    for (const std::vector<const char*>& arguments :
         std::vector<std::vector<const char*>>{{"frobnicate"},
                                               {"--frob"},
                                               {"ls", "extra"},
                                               {"ls", "--frob"},
                                               {"ls", "--format"},
                                               {"ls", "-f", "x"},
                                               {"ls", "--format", "{{.X}}"},
                                               {"inspect"},
                                               {"inspect", ""},
                                               {"call", "a"},
                                               {"call", "a", "List"},
                                               {"call", "", "VolumeDriver.List"},
                                               {"activate"},
                                               {"activate", "a", "--timeout", "x"},
                                               {"activate", "a", "--timeout", "-1"},
                                               {"events", "--replay", "10m"},
                                               {"events", "--replay", "-1"},
                                               {"events", "-f", "state=active"},
                                               {"events", "-f", "capability=a", "-f", "capability=b"},
                                               {"events", "--format", "table {{.Plugin}}"},
                                               {"completion"},
                                               {"completion", "tcsh"},
                                               {"doctor", "x"},
                                               {"version", "--format", "{{"},
                                               {"-H", "ssh://-host", "ls"},
                                               {"ls", "-H", "tcp://1.2.3.4:5"}}) {
        CAPTURE(arguments);
        const Ran ran = run_cli(arguments);
        CHECK(ran.status == 2);
        CHECK(ran.out.empty());
        CHECK_THAT(ran.err, Catch::StartsWith("pluginctl") && Catch::EndsWith("--help\n"));
        CHECK(std::count(ran.err.begin(), ran.err.end(), '\n') == 1);
    }
}

TEST_CASE("a daemon that is not there is status 125 for every command", "[cli]") {
    const SocketPath path;
    for (const std::vector<const char*>& arguments : std::vector<std::vector<const char*>>{
             {"ls"}, {"inspect", "a"}, {"call", "a", "X.Y"}, {"events"}, {"doctor"}, {"activate", "a"}, {"version"}}) {
        CAPTURE(arguments);
        const Ran ran = run_cli(arguments, path.str());
        CHECK(ran.status == 125);
        CHECK_THAT(ran.err, Catch::Contains("systemctl start brokerd"));
        CHECK(std::count(ran.err.begin(), ran.err.end(), '\n') == 1);
    }
}

TEST_CASE("the host is a flag before or after the command, or the environment", "[cli]") {
    const ScriptedServer server{ScriptedServer::reply(200, R"({"Plugins":[{"Name":"a"}]})")};
    const std::string path = server.path();
    const std::string url = "unix://" + path;
    CHECK(run_cli({"ls", "-q"}, url).out == "a\n");
    CHECK(run_cli({"ls", "-q", "-H", url.c_str()}, "/nowhere").out == "a\n");
    CHECK(run_cli({"--host", path.c_str(), "list", "-q"}, "/nowhere").out == "a\n");
}

TEST_CASE("a plugin may be called like a command", "[cli]") {
    const ScriptedServer server{ScriptedServer::reply(200, R"({"Name":"ls"})")};
    CHECK(run_cli({"inspect", "ls", "--format", "{{.Name}}"}, server.path()).out == "ls\n");
    CHECK(server.requests().at(0).find("GET /broker/v1/plugins/ls/json ") == 0);
}

TEST_CASE("help and version need no daemon", "[cli]") {
    CHECK_THAT(run_cli({}).out, Catch::Contains("COMMANDS"));
    CHECK_THAT(run_cli({"-h"}).out, Catch::Contains("COMMANDS"));
    CHECK_THAT(run_cli({"ls", "--help"}).out, Catch::StartsWith("pluginctl ls\n"));
    CHECK_THAT(run_cli({"inspect", "-h"}).out, Catch::StartsWith("pluginctl inspect\n"));
    CHECK_THAT(run_cli({"--version"}).out, Catch::StartsWith("pluginctl "));
    CHECK(run_cli({"ls", "--help"}).status == 0);
}

TEST_CASE("what it says of arguments is printable", "[cli]") {
    const Ran ran = run_cli({"ls", "-f", "a\x1b[2J"});
    CHECK(ran.status == 2);
    CHECK(ran.err.find('\x1b') == std::string::npos);
}

TEST_CASE("output that nobody can take is a failure, a reader that left is none", "[cli]") {
    const auto status_on = [](int fd) {
        const UniqueFd err{::memfd_create("err", MFD_CLOEXEC)};
        Output out_text{fd};
        Output err_text{err.get()};
        const std::vector<const char*> arguments{"--help"};
        const ExitStatus status = run_pluginctl({arguments, "", -1, out_text, err_text});
        return std::pair{static_cast<int>(status), content_of(err.get())};
    };
    const auto [status, words] = status_on(-1);
    CHECK(status == 1);
    CHECK_THAT(words, Catch::Contains("cannot write the output"));
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    const UniqueFd writer{ends[0]};
    ::close(ends[1]);
    const auto before = std::signal(SIGPIPE, SIG_IGN);
    CHECK(status_on(writer.get()) == std::pair{0, std::string{}});
    std::signal(SIGPIPE, before);
}

}  // namespace
}  // namespace brokerd::cli
