#include "cli/limit_arguments.h"

#include <catch2/catch.hpp>

#include "tests/unit/cli/run_cli.h"
#include "tests/unit/common/scripted_server.h"

namespace brokerd::cli {
namespace {

TEST_CASE("sizes are read as docker reads them", "[cli]") {
    CHECK(parse_size("0") == 0);
    CHECK(parse_size("67108864") == 64U << 20);
    CHECK(parse_size("67108864b") == 64U << 20);
    for (const char* text : {"64m", "64M", "64mb", "64MiB", "64 m"}) {
        CAPTURE(text);
        CHECK(parse_size(text) == 64U << 20);
    }
    CHECK(parse_size("1.5k") == 1536);
    CHECK(parse_size("1g") == 1U << 30);
    CHECK(parse_size("2t") == std::uint64_t{2} << 40);
    for (const char* text : {"", "m", "-1", "1x", "1mm", "1bb", "1e3", "1.2.3", "0x10", "9999999999999p", "64m "}) {
        CAPTURE(text);
        CHECK_FALSE(parse_size(text));
    }
}

TEST_CASE("processors are read to the billionth", "[cli]") {
    CHECK(parse_processors("0") == 0);
    CHECK(parse_processors("2") == 2'000'000'000);
    CHECK(parse_processors("0.5") == 500'000'000);
    CHECK(parse_processors(".5") == 500'000'000);
    CHECK(parse_processors("1.0000000010") == 1'000'000'001);
    for (const char* text : {"", ".", "-1", "1.0000000001", "1,5", "1.2.3", "x", "99999999999999"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_processors(text));
    }
}

TEST_CASE("set sends limits and settings together", "[cli]") {
    const ScriptedServer daemon{ScriptedServer::reply(204, "")};
    CHECK(run_cli({"set", "--memory", "64m", "--cpus", "0.5", "--pids", "100", "v/s", "A=1"}, daemon.path()).status ==
          0);
    CHECK(run_cli({"set", "v/s", "--memory", "0"}, daemon.path()).status == 0);
    CHECK(run_cli({"set", "v/s", "A=1"}, daemon.path()).status == 0);
    REQUIRE(daemon.requests().size() == 3);
    CHECK_THAT(daemon.requests()[0], Catch::StartsWith("POST /broker/v1/plugins/v/s/limits ") &&
                                         Catch::EndsWith(R"({"Memory":67108864,"NanoCpus":500000000,"Pids":100,)"
                                                         R"("Settings":["A=1"]})"));
    CHECK_THAT(daemon.requests()[1], Catch::EndsWith(R"({"Memory":0,"Settings":[]})"));
    CHECK_THAT(daemon.requests()[2], Catch::StartsWith("POST /plugins/v/s/set "));
}

TEST_CASE("limits that cannot be read reach no daemon", "[cli]") {
    for (const std::vector<const char*>& arguments :
         std::vector<std::vector<const char*>>{{"set", "a", "--memory", "much"},
                                               {"set", "a", "--cpus", "half"},
                                               {"set", "a", "--pids", "-1"},
                                               {"set", "a", "--pids", "1.5"},
                                               {"set", "a", "--pids"}}) {
        const Ran ran = run_cli(arguments, "/nowhere");
        CHECK(ran.status == 2);
        CHECK(std::count(ran.err.begin(), ran.err.end(), '\n') == 1);
    }
}

}  // namespace
}  // namespace brokerd::cli
