#include <fcntl.h>
#include <pty.h>
#include <sys/ioctl.h>

#include <catch2/catch.hpp>
#include <thread>

#include "cli/output/screen.h"
#include "cli/output/units.h"
#include "cli/stats_rows.h"
#include "tests/unit/cli/run_cli.h"
#include "tests/unit/common/scripted_server.h"

namespace brokerd::cli {
namespace {

using namespace std::chrono_literals;

const std::string kStats = R"({"Plugins":[
    {"Name":"a","Kind":"legacy","State":"active","Connections":2,"Calls":12,"PluginErrors":1,"BrokerErrors":2,"ClientGone":1,
     "InFlight":3,"RequestBytes":1250,"AnswerBytes":12,"P50":85000,"P90":1250000,"P99":2000000000,"Max":200000000000,"Methods":[
       {"Name":"VolumeDriver.Evil\u001b[2J","Calls":2,"BrokerErrors":2},
       {"Name":"VolumeDriver.Get","Calls":10,"PluginErrors":1,"ClientGone":1,"InFlight":3,"P50":85000}]},
    {"Name":"idle","State":"active","Methods":[]},
    {"Name":"unused","State":"failed","Methods":[]}
]})";

TEST_CASE("numbers have three digits and a unit", "[cli]") {
    CHECK(human_duration(0ns) == "-");
    CHECK(human_duration(64ns) == "64ns");
    CHECK(human_duration(85'300ns) == "85.3µs");
    CHECK(human_duration(999'600ns) == "1ms");
    CHECK(human_duration(1'254us) == "1.25ms");
    CHECK(human_duration(59s) == "59s");
    CHECK(human_duration(200s) == "3m20s");
    CHECK(human_duration(7205s) == "120m05s");
    CHECK(human_bytes(0) == "0B");
    CHECK(human_bytes(999) == "999B");
    CHECK(human_bytes(1000) == "1kB");
    CHECK(human_bytes(1'234'567) == "1.23MB");
    CHECK(human_bytes(UINT64_MAX) == "18.4EB");
    CHECK(human_rate(0) == "0");
    CHECK(human_rate(0.001) == "0");
    CHECK(human_rate(0.254) == "0.25");
    CHECK(human_rate(87'512) == "87.5k");
    CHECK(human_rate(5e9) == "5000M");
}

TEST_CASE("stats --no-stream is one table", "[cli]") {
    const ScriptedServer server{ScriptedServer::reply(200, kStats)};
    const Ran ran = run_cli({"stats", "--no-stream"}, server.path());
    CHECK(ran.status == 0);
    CHECK(ran.out ==
          "PLUGIN   CALLS   CALLS/S   ERRORS   IN FLIGHT   P50    P90      P99   MAX     BYTES IN/OUT\n"
          "a        12      -         3        3           85µs   1.25ms   2s    3m20s   1.25kB / 12B\n"
          "idle     0       -         0        0           -      -        -     -       0B / 0B\n");
    CHECK_THAT(run_cli({"stats", "--no-stream", "--all"}, server.path()).out, Catch::Contains("\nunused "));
    const std::string methods = run_cli({"stats", "--no-stream", "--methods", "a"}, server.path()).out;
    CHECK_THAT(methods, Catch::StartsWith("PLUGIN   METHOD "));
    CHECK_THAT(methods, Catch::Contains("\na        VolumeDriver.Evil\\x1b[2J   2 "));
    CHECK(methods.find('\x1b') == std::string::npos);
    CHECK(methods.find("idle") == std::string::npos);
}

TEST_CASE("stats in other formats", "[cli]") {
    const ScriptedServer server{ScriptedServer::reply(200, kStats)};
    const std::string json = run_cli({"stats", "--no-stream", "--format", "json", "a"}, server.path()).out;
    CHECK(std::count(json.begin(), json.end(), '\n') == 1);
    CHECK_THAT(json, Catch::Contains(R"("Plugin":"a","Method":"","State":"active","Connections":2,"Calls":12)"));
    CHECK_THAT(json, Catch::Contains(R"("Errors":3,"CallsPerSecond":null)"));
    CHECK_THAT(json, Catch::Contains(R"("P50":85000)"));
    CHECK(run_cli({"stats", "--no-stream", "--format", "{{.Plugin}} {{.Errors}}"}, server.path()).out ==
          "a 3\nidle 0\n");
    CHECK(run_cli({"stats", "--no-stream", "-m", "--format", "{{.Method}}={{.Calls}}", "a"}, server.path()).out ==
          "VolumeDriver.Evil\\x1b[2J=2\nVolumeDriver.Get=10\n");
    CHECK(run_cli({"stats", "--format", "{{.Nonsense}}"}, server.path()).status == 2);
}

TEST_CASE("stats refuses what cannot be", "[cli]") {
    const ScriptedServer server{ScriptedServer::reply(200, kStats)};
    const Ran unknown = run_cli({"stats", "--no-stream", "a", "nobody"}, server.path());
    CHECK(unknown.status == 1);
    CHECK(unknown.out.empty());
    CHECK(unknown.err == "pluginctl stats: there is no plugin nobody; see: pluginctl ls\n");
    for (const char* interval : {"0", "-1", "nan", "1e9", "soon"}) {
        CAPTURE(interval);
        CHECK(run_cli({"stats", "--interval", interval}, server.path()).status == 2);
    }
    CHECK(run_cli({"stats", "--no-stream"}, "/nowhere/at/all").status == 125);
}

TEST_CASE("a stream of stats goes on until the daemon or the reader leaves", "[cli]") {
    int reading = 0;
    const ScriptedServer server{ScriptedServer::Script{[&](const std::string&) -> ScriptedServer::Answer {
        if (++reading == 3) return {ScriptedServer::reply(503, R"({"message":"enough"})")};
        return {ScriptedServer::reply(200, kStats)};
    }}};
    const Ran ran =
        run_cli({"stats", "--interval", "0.1", "--format", "{{.Plugin}} {{json .CallsPerSecond}}", "a"}, server.path());
    CHECK(ran.out == "a null\na 0.0\n");
    CHECK(ran.err == "pluginctl stats: enough\n");
    CHECK(ran.status == 1);

    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const UniqueFd writing{ends[1]};
    ::close(ends[0]);
    Output out{writing.get()};
    CHECK_FALSE(Screen(out, true).wait(1h));
}

PluginStats plugin_with(std::uint64_t calls, std::uint64_t gets) {
    PluginStats plugin;
    plugin.name = "a";
    plugin.state = "active";
    plugin.total.calls = calls;
    plugin.methods = {{"V.Get", {}}};
    plugin.methods[0].stats.calls = gets;
    return plugin;
}

TEST_CASE("calls per second come from two readings", "[cli]") {
    const auto first = std::vector{plugin_with(100, 50)};
    const auto per_second = [&](const PluginStats& now, const std::vector<PluginStats>& before, bool methods) {
        return stats_rows({now}, before, 2s, {{}, false, methods}).at(0).calls_per_second;
    };
    CHECK_FALSE(per_second(plugin_with(150, 60), {}, false).has_value());
    CHECK(per_second(plugin_with(150, 60), first, false) == 25.0);
    CHECK(per_second(plugin_with(150, 60), first, true) == 5.0);
    CHECK(per_second(plugin_with(8, 4), first, false) == 4.0);  // a new brokerd counts from zero
    PluginStats other = plugin_with(6, 2);
    other.name = "b";
    CHECK(per_second(other, first, false) == 3.0);
    CHECK(per_second(other, first, true) == 1.0);
}

TEST_CASE("on a terminal the table is drawn in place and no larger than it", "[cli]") {
    int terminal = -1, program = -1;
    REQUIRE(::openpty(&terminal, &program, nullptr, nullptr, nullptr) == 0);
    const UniqueFd ours{terminal}, its{program};
    const winsize size{4, 10, 0, 0};
    REQUIRE(::ioctl(its.get(), TIOCSWINSZ, &size) == 0);
    Output out{its.get()};
    Screen screen{out, true};
    const auto seen = [&](const std::string& lines) {
        CHECK(screen.show(lines));
        std::string text(4096, '\0');
        const ssize_t count = ::read(ours.get(), text.data(), text.size());
        text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
        return text;
    };
    CHECK(seen("one\ntwo\n") == "\x1b[2J\x1b[Hone\x1b[K\r\ntwo\x1b[K\r\n\x1b[J");
    CHECK(seen("a line that is too long\n") == "\x1b[Ha line th…\x1b[K\r\n\x1b[J");
    CHECK(seen("1\n2\n3\n4\n5\n") == "\x1b[H1\x1b[K\r\n2\x1b[K\r\n… and 3 more\x1b[K\r\n\x1b[J");
    CHECK(screen.wait(1ms));
}

}  // namespace
}  // namespace brokerd::cli
