#include "tests/unit/core/plugin_table_fixture.h"

// What engines' calls, and the plugin's own comings and goings, mean to the table: a real proxy, and a plugin that the
// test plays.

using namespace brokerd;
using namespace std::chrono_literals;
using Catch::Contains;
using Strings = std::vector<std::string>;

namespace {

struct CallFixture : test::PluginTableFixture {
    CallFixture() : PluginTableFixture{60s} {}
    explicit CallFixture(bool eager) : PluginTableFixture{60s, eager} {}

    /// Until the newest event is this one.
    void run_until_told(const std::string& action) {
        run_until([&] { return actions().back() == action; });
    }
};

/// Plugins are asked only when somebody wants them.
struct LazyFixture : CallFixture {
    LazyFixture() : CallFixture{false} {
        plugin.emplace(directory / "plugin.sock");
        table.apply("x", played("x"));
    }
};

}  // namespace

TEST_CASE_METHOD(CallFixture, "a plugin that answers is active, with what it implements", "[core]") {
    play();
    const auto view = table.find("x");
    CHECK(view->implements == Strings{"VolumeDriver"});
    CHECK(view->reason.empty());
    CHECK(view->next_attempt == PluginView::Time{});
    CHECK(actions() == Strings{"discovered", "activating", "active"});
    CHECK(findings().empty());
    CHECK_THAT(call("x"), Contains("VolumeDriver"));
    bool settled = false;
    table.when_settled("x", 60s, [&](const auto& found) { settled = found->state == "active"; });
    CHECK(settled);
}

TEST_CASE_METHOD(LazyFixture, "a lazy plugin is asked when an engine calls it", "[core]") {
    CHECK(state("x") == "discovered");
    plugin->listen();  // a new socket is nobody's wish either
    test::run_ready(loop);
    CHECK(plugin->asked == 0);
    CHECK_THAT(call("x"), Contains("VolumeDriver"));
    CHECK(state("x") == "active");
    CHECK(plugin->asked == 1);
}

TEST_CASE_METHOD(LazyFixture, "a lazy plugin is asked when somebody looks it up", "[core]") {
    std::string found;
    const bool activates = GENERATE(false, true);
    const auto note = [&](const auto& view) { found = view->state; };
    activates ? table.activate("x", 60s, note) : table.when_settled("x", 60s, note);
    run_until([&] { return !found.empty(); });
    CHECK(found == "active");
}

TEST_CASE_METHOD(LazyFixture, "lazy plugins are asked when a reload makes them eager", "[core]") {
    table.apply("bad", invalid("bad", PluginDefinition::Problem::unreadable));
    table.configure(settings);
    CHECK(state("x") == "discovered");
    settings.eager = true;
    table.configure(settings);
    run_until_state("x", "active");
    CHECK(state("bad") == "invalid");
}

TEST_CASE_METHOD(CallFixture, "an active plugin is asked again where somebody activates it", "[core]") {
    play();
    bool done = false;
    table.activate("x", 60s, [&](const auto& view) { done = view->state == "active"; });
    CHECK_FALSE(done);
    run_until([&] { return done; });
    CHECK(plugin->asked == 2);
    bool absent = false;
    table.activate("y", 60s, [&](const auto& view) { absent = !view; });
    CHECK(absent);
    table.apply("bad", invalid("bad", PluginDefinition::Problem::bad_name));
    std::string bad;
    table.activate("bad", 60s, [&](const auto& view) { bad = view->state; });
    table.when_settled("bad", 60s, [&](const auto& view) { bad += " " + view->state; });
    CHECK(bad == "invalid invalid");
}

TEST_CASE_METHOD(CallFixture, "who waits for one plugin is not told of another", "[core]") {
    table.apply("y", unreachable("y"));
    bool told = false;
    table.when_settled("y", 60s, [&](const auto&) { told = true; });
    play();
    CHECK_FALSE(told);
}

TEST_CASE_METHOD(CallFixture, "a look-up waits no longer than it was told", "[core]") {
    table.apply("x", unreachable("x"));
    std::string late;
    table.when_settled("x", 1ms, [&](const auto& view) { late = view->state; });
    run_until([&] { return !late.empty(); });
    CHECK(late == "activating");
}

TEST_CASE_METHOD(CallFixture, "a plugin that is down is waited for, and its return releases the call", "[core]") {
    play();
    plugin.reset();
    std::string answered;
    test::Peer engine = test::Peer::connect(table.find("x")->published.at(0));
    REQUIRE(engine.send("POST /VolumeDriver.List HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"));
    run_until_told("activating");
    CHECK_THAT(table.find("x")->reason, Contains("nothing listens on"));
    CHECK_FALSE(engine.is_readable());
    plugin.emplace(directory / "plugin.sock");
    run_until_state("x", "active");
    run_until([&] { return engine.is_readable(); });
    CHECK_THAT(engine.read_until("}"), Contains("200 OK") || Contains("VolumeDriver"));
}

TEST_CASE_METHOD(CallFixture, "a failed plugin is told of with where, why and what was tried", "[core]") {
    settings.activation.window = 1ms;
    table.configure(settings);
    table.apply("x", unreachable("x"));
    run_until_state("x", "failed");
    const std::string answer = call("x");
    CHECK_THAT(answer, Contains("HTTP/1.1 503 ") && Contains("nothing listens on unix://") &&
                           Contains("it was tried for 0.001 s and is tried again every 0.01 s"));
    run_until([&] { return table.find("x")->next_attempt != PluginView::Time{}; });
    CHECK(findings() == Strings{"x error unreachable"});
}

TEST_CASE_METHOD(CallFixture, "a plugin that answers nonsense is told of, once, and asked again", "[core]") {
    plugin.emplace(directory / "plugin.sock");
    plugin->body = "nonsense";
    table.apply("x", played("x"));
    run_until_state("x", "failed");
    CHECK(findings() == Strings{"x error rejected"});
    CHECK_THAT(call("x"),
               Contains("HTTP/1.1 503 ") && Contains("plugin.sock: ") && Contains("it is asked again every"));
    const int before = plugin->asked;
    run_until([&] { return plugin->asked > before + 2; });
    CHECK(actions() == Strings{"discovered", "activating", "failed"});
    plugin->body = R"({"Implements":["VolumeDriver"]})";
    run_until_state("x", "active");
}

TEST_CASE_METHOD(CallFixture, "a plugin that comes back with another manifest has changed", "[core]") {
    play();
    plugin->body = R"({"Implements":["VolumeDriver","NetworkDriver"]})";
    plugin->close_connections();  // as where it was restarted
    run_until_told("changed");
    CHECK(table.find("x")->implements == Strings{"VolumeDriver", "NetworkDriver"});
    CHECK_THAT(call("x", "/NetworkDriver.GetCapabilities"), Contains("200 "));
}

TEST_CASE_METHOD(CallFixture, "a handshake with a plugin that has been replaced is given up", "[core]") {
    plugin.emplace(directory / "plugin.sock");
    plugin->is_mute = true;
    table.apply("x", played("x"));
    run_until([&] { return plugin->connections() == 1; });
    plugin->listen();
    run_until([&] { return plugin->connections() == 2; });  // the new socket is asked, without the old one's answer
    plugin->is_mute = false;
    run_until_state("x", "active");
}

TEST_CASE_METHOD(CallFixture, "a plugin whose socket goes and comes is asked at once", "[core]") {
    play();
    plugin.reset();
    run_until_told("activating");
    plugin.emplace(directory / "plugin.sock");
    run_until_state("x", "active");
}

TEST_CASE_METHOD(CallFixture, "a call for what a plugin lacks is counted for doctor", "[core]") {
    play();
    CHECK_THAT(call("x", "/NetworkDriver.Join"), Contains("HTTP/1.1 404 "));
    run_until([&] { return !findings().empty(); });
    CHECK(findings() == Strings{"x warning wrong-capability"});
    CHECK_THAT(table.doctor()[0].cause, Contains("asked 1 time for NetworkDriver, but implements only VolumeDriver"));
    table.note_missing_capability("x", "NetworkDriver");
    CHECK_THAT(table.doctor()[0].cause, Contains("asked 2 times for NetworkDriver"));
    // What it has by now is no finding any more, and what nobody knows is none.
    table.note_missing_capability("x", "VolumeDriver");
    table.note_missing_capability("y", "VolumeDriver");
    CHECK(findings().size() == 1);
}

TEST_CASE_METHOD(CallFixture, "a definition that says the same is no reason to ask again", "[core]") {
    play();
    PluginDefinition same = played("x");
    same.file = directory / "p/other.spec";
    same.warnings = {"this is odd"};
    same.shadows = {{"/later/x.spec", "comes later"}};
    table.apply("x", same);
    CHECK(actions().back() == "redefined");
    CHECK(state("x") == "active");
    CHECK(table.find("x")->definition == same.file);
    CHECK(findings() == Strings{"x warning shadowed", "x warning warning"});
    CHECK(plugin->asked == 1);
}

TEST_CASE_METHOD(CallFixture, "a plugin whose own socket engines see needs no second one", "[core]") {
    play();
    CHECK(table.find("x")->published.size() == 2);
    PluginDefinition own = played("x");
    own.source = PluginDefinition::Source::socket;
    table.apply("x", own);
    CHECK(table.find("x")->published.size() == 1);
    CHECK_FALSE(std::filesystem::exists(directory / "e/x.sock"));
    run_until_state("x", "active");
    CHECK_THAT(call("x"), Contains("VolumeDriver"));
    table.apply("x", played("x"));
    CHECK(table.find("x")->published.size() == 2);
}

TEST_CASE_METHOD(CallFixture, "another limit for answers holds for calls that come now", "[core]") {
    play();
    plugin->is_mute = true;
    settings.answer_limits.general = std::make_shared<const AnswerLimits>(1ms);
    table.configure(settings);
    CHECK_THAT(call("x"), Contains("HTTP/1.1 504 ") && Contains("within 0.001 s"));
}

TEST_CASE_METHOD(CallFixture, "a reload makes an engine's name again that somebody removed", "[core]") {
    play();
    table.apply("bad", invalid("bad", PluginDefinition::Problem::malformed));
    REQUIRE(std::filesystem::remove(directory / "e/x.sock"));
    table.restore_published();
    CHECK(std::filesystem::is_socket(directory / "e/x.sock"));
}

TEST_CASE_METHOD(CallFixture, "what cannot be published is a finding, and a reload tries again", "[core]") {
    std::filesystem::create_directories(directory / "r/plugins/x.sock/in the way");
    table.apply("x", unreachable("x"));
    CHECK(table.find("x")->published.empty());
    CHECK(table.find("x")->warnings.size() == 1);
    CHECK(findings() == Strings{"x error not-published"});
    CHECK(table.doctor()[0].cause == table.find("x")->warnings[0]);
    std::filesystem::remove_all(directory / "r/plugins/x.sock");
    table.restore_published();
    CHECK(table.find("x")->published.size() == 2);
    CHECK(table.find("x")->warnings.empty());
}

TEST_CASE_METHOD(CallFixture, "the metrics have each plugin's state, and whether the configuration holds", "[core]") {
    play();
    const auto counted = [&] {
        std::optional<BrokerCounts> counts;
        table.collect_counts([&](BrokerCounts now) { counts = std::move(now); });
        run_until([&] { return counts.has_value(); });
        return *counts;
    };
    const BrokerCounts before = counted();
    REQUIRE(before.plugins.size() == 1);
    CHECK(before.plugins[0].name == "x");
    CHECK(before.plugins[0].kind == "legacy");
    CHECK(before.plugins[0].state == "active");
    CHECK(before.config.accepted);
    table.note_config(false);
    CHECK_FALSE(counted().config.accepted);
    CHECK(counted().config.accepted_at == before.config.accepted_at);
    table.note_config(true);
    CHECK(counted().config.accepted);
    CHECK(counted().config.accepted_at > before.config.accepted_at);
}

TEST_CASE_METHOD(CallFixture, "reports of a plugin that is another one by now, or none, change nothing", "[core]") {
    play();
    // While the loop does not run, what the proxy reports is kept, and then comes after the definition's change.
    test::Peer engine = test::Peer::connect(table.find("x")->published.at(0));
    const auto ask = [&](const std::string& path) {
        REQUIRE(engine.send("POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"));
    };
    const auto answer = [&] { return engine.read_until("\r\n\r\n"); };
    SECTION("a lack") {
        ask("/NetworkDriver.Join");
        CHECK_THAT(answer(), Contains("404"));
    }
    SECTION("a failure in a call") {
        ask("/VolumeDriver.List");
        while (!engine.is_readable()) {
            plugin->is_mute = true;
            plugin->turn();
            plugin->close_connections();
        }
        CHECK_THAT(answer(), Contains("502"));
    }
    SECTION("that nobody listens") {
        plugin.reset();
        ask("/VolumeDriver.List");
        test::Peer other = test::Peer::connect(table.find("x")->published.at(0));
        for (int i = 0; i < 2; ++i) {  // when the second is answered, the first call has failed
            REQUIRE(other.send("POST /NetworkDriver.Join HTTP/1.1\r\nHost: x\r\n\r\n"));
            CHECK_THAT(other.read_until("}\"}"), Contains("404"));
        }
    }
    const std::size_t told = actions().size();
    const int what = GENERATE(0, 1, 2);
    if (what == 0) table.apply("x", std::nullopt);
    if (what == 1) table.apply("x", invalid("x", PluginDefinition::Problem::malformed));
    if (what == 2) table.apply("x", unreachable("x"));
    test::run_ready(loop);
    const auto all = actions();
    const Strings since(all.begin() + static_cast<std::ptrdiff_t>(told), all.end());
    CHECK(since == (what == 0   ? Strings{"gone"}
                    : what == 1 ? Strings{"redefined", "invalid"}
                                : Strings{"redefined", "discovered", "activating"}));
}

TEST_CASE_METHOD(CallFixture, "that nobody listens any more is told by a call", "[core]") {
    play();
    plugin.reset();
    test::Peer engine = test::Peer::connect(table.find("x")->published.at(0));
    REQUIRE(engine.send("POST /VolumeDriver.List HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"));
    test::Peer other = test::Peer::connect(table.find("x")->published.at(0));
    for (int i = 0; i < 2; ++i) {
        REQUIRE(other.send("POST /NetworkDriver.Join HTTP/1.1\r\nHost: x\r\n\r\n"));
        CHECK_THAT(other.read_until("}\"}"), Contains("404"));
    }
    run_until_told("activating");
    CHECK_THAT(table.find("x")->reason, Contains("nothing listens on"));
}

TEST_CASE_METHOD(CallFixture, "who waits is told of a definition that is wrong, and not of one that says the same",
                 "[core]") {
    play();
    std::string found;
    table.activate("x", 60s, [&](const auto& view) { found = view->state; });
    table.apply("x", played("x"));
    CHECK(found.empty());  // it is being asked
    table.apply("x", invalid("x", PluginDefinition::Problem::malformed));
    CHECK(found == "invalid");
    table.note_missing_capability("x", "VolumeDriver");
    CHECK(findings() == Strings{"x error invalid"});
}

TEST_CASE_METHOD(CallFixture, "a plugin that has failed is settled, and a name that is none is invalid", "[core]") {
    settings.activation.window = 1ms;
    table.configure(settings);
    table.apply("x", unreachable("x"));
    table.apply("..", unreachable(".."));
    CHECK(state("..") == "invalid");
    run_until_state("x", "failed");
    std::string found;
    table.when_settled("x", 60s, [&](const auto& view) { found = view->state; });
    CHECK(found == "failed");
    CHECK(table.list().size() == 2);
}

TEST_CASE_METHOD(CallFixture, "what could not be published is tried again by itself", "[core]") {
    for (const char* name : {"x", "y"}) {
        std::filesystem::create_directories(directory / ("r/plugins/" + std::string{name} + ".sock/in the way"));
        table.apply(name, unreachable(name));
    }
    table.apply("z", unreachable("z"));
    table.apply("bad", invalid("bad", PluginDefinition::Problem::malformed));
    CHECK(table.find("y")->published.empty());
    std::filesystem::remove_all(directory / "r/plugins/x.sock");
    std::filesystem::remove_all(directory / "r/plugins/y.sock");
    run_until([&] { return table.find("x")->published.size() == 2 && table.find("y")->published.size() == 2; });
}
