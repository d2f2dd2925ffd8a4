#include <catch2/catch.hpp>

#include "tests/unit/supervision/supervision_fixture.h"

using namespace brokerd;
using namespace brokerd::test;
using namespace std::chrono_literals;

// What an earlier brokerd left, and callbacks that call back.

TEST_CASE_METHOD(SupervisionFixture, "a survivor that is wanted is adopted", "[supervision]") {
    restart_brokerd({"a"});
    CHECK(seen().phase == Phase::off);
    run(Mode::kept, 7);
    CHECK(runner.adoptions["a"] == 1);
    CHECK(seen().phase == Phase::starting);
    SECTION("and goes on") {
        runner.begin("a");
        supervisor->answered("a");
        CHECK(seen().phase == Phase::running);
        CHECK(seen().restarts == 0);
        runner.end("a", exited(1));
        time.advance(100ms);
        CHECK(runner.of("a").record->revision == 7);
        CHECK(seen().restarts == 1);
    }
    SECTION("and started where it has ended meanwhile") {
        runner.refuse("a", "it has ended");
        CHECK(seen().phase == Phase::starting);
        CHECK(runner.of("a").record->revision == 7);
        CHECK(seen().restarts == 0);
        CHECK(seen().reason.empty());
    }
    CHECK(runner.adoptions["a"] == 1);
    CHECK(runner.starts["a"] == 1);
}

TEST_CASE_METHOD(SupervisionFixture, "survivors that nobody wants are stopped", "[supervision]") {
    restart_brokerd({"a", "b", "c"});
    supervisor->run(plugin_record("b"), Mode::kept);
    int done = 0;
    supervisor->stop_unwanted_survivors([&] { ++done; });
    CHECK(seen().phase == Phase::stopping);
    CHECK(runner.adoptions["c"] == 1);
    runner.begin("a");
    CHECK(runner.of("a").terms == 1);
    runner.refuse("c", "it has ended");
    turn();
    CHECK(done == 0);
    time.advance(10s);
    CHECK(runner.of("a").kills == 1);
    runner.end("a");
    turn();
    CHECK(done == 1);
    runner.begin("b");
    CHECK(runner.of("b").terms == 0);
    supervisor->stop_unwanted_survivors([&] { ++done; });
    turn();
    CHECK(done == 2);
    CHECK(runner.of("b").terms == 0);
    CHECK(runner.starts["a"] == 0);
}

TEST_CASE_METHOD(SupervisionFixture, "a survivor is stopped like any other", "[supervision]") {
    restart_brokerd({"a"});
    const bool all = GENERATE(false, true);
    auto done = std::make_shared<int>(0);
    if (all) {
        supervisor->stop_all([done] { ++*done; });
    } else {
        done = stop();
    }
    supervisor->forget("a");
    SECTION("it still runs") {
        runner.begin("a");
        runner.end("a");
    }
    SECTION("it has ended") {
        runner.refuse("a", "it has ended");
    }
    SECTION("it is wanted meanwhile") {
        run();
        runner.begin("a");
        runner.end("a");
        turn();
        CHECK(runner.starts["a"] == 1);
        CHECK(seen().phase == Phase::starting);
    }
    turn();
    CHECK(*done == 1);
    CHECK(runner.adoptions["a"] == 1);
}

TEST_CASE_METHOD(SupervisionFixture, "a survivor that nobody has named is not lost by forgetting", "[supervision]") {
    restart_brokerd({"a"});
    supervisor->forget("a");
    supervisor->stop_unwanted_survivors({});
    runner.begin("a");
    CHECK(runner.of("a").terms == 1);
}

TEST_CASE_METHOD(SupervisionFixture, "forgetting drops counts and reason, of what is off", "[supervision]") {
    bring_up();
    supervisor->forget("a");
    CHECK(seen().phase == Phase::running);
    runner.end("a");
    supervisor->forget("a");
    CHECK(seen().phase == Phase::restarting);
    const auto done = stop();
    supervisor->forget("a");
    CHECK_FALSE(seen().last_exit);
    turn();
    CHECK(*done == 1);
    CHECK_FALSE(seen().last_exit);
    supervisor->forget("a");
    supervisor->forget("unknown");
    bring_up();
    CHECK(seen().restarts == 0);
}

TEST_CASE_METHOD(SupervisionFixture, "who hears of a change may stop the plugin", "[supervision]") {
    const auto phase = GENERATE(Phase::starting, Phase::running, Phase::restarting, Phase::failed, Phase::off);
    auto done = std::make_shared<int>(0);
    int stops = 0;
    on_change = [&](const std::string& id, const PluginRun& now) {
        if (now.phase != phase) return;
        ++stops;
        supervisor->stop(id, [done] { ++*done; });
    };
    run();
    if (phase == Phase::failed) {
        runner.refuse("a", "no");
    } else {
        runner.begin("a");
        supervisor->answered("a");
        if (phase == Phase::off) supervisor->stop("a", {});
        runner.end("a");
    }
    time.advance(1h);
    CHECK(stops > 0);
    CHECK(*done == stops);
    CHECK(seen().phase == Phase::off);
    CHECK(runner.runs.empty());
}

TEST_CASE_METHOD(SupervisionFixture, "who hears of an end may want the plugin again", "[supervision]") {
    on_change = [&](const std::string&, const PluginRun& now) {
        if (now.phase == Phase::off && runner.starts["a"] < 3) run(Mode::kept, 2);
    };
    run(Mode::trial);
    runner.refuse("a", "no");
    CHECK(seen().phase == Phase::starting);
    runner.begin("a");
    bool ran = true;
    supervisor->stop("a", [&] { ran = runner.has("a"); });
    runner.end("a");
    turn();
    CHECK_FALSE(ran);
    CHECK(seen().phase == Phase::starting);
    CHECK(runner.starts["a"] == 3);
}

TEST_CASE_METHOD(SupervisionFixture, "who hears of an end may forget the plugin", "[supervision]") {
    std::string heard;
    on_change = [&](const std::string& id, const PluginRun& now) {
        if (now.phase != Phase::off) return;
        supervisor->forget(id);
        heard = id + ": " + now.reason;  // what was handed over is still there
    };
    run(Mode::trial);
    runner.begin("a");
    runner.end("a", exited(1));
    CHECK(heard == "a: it exited with status 1 right after its start");
    CHECK(seen().reason.empty());
    bring_up();
    const auto done = stop();
    runner.end("a");
    turn();
    CHECK(*done == 1);
}

TEST_CASE_METHOD(SupervisionFixture, "who waits for a stop may forget, stop or want the plugin", "[supervision]") {
    bring_up();
    const auto choice = GENERATE(0, 1, 2);
    int done = 0;
    supervisor->stop("a", [&] {
        ++done;
        if (choice == 0) supervisor->forget("a");
        if (choice == 1) supervisor->stop("a", [&] { ++done; });
        if (choice == 2) run(Mode::kept, 2);
    });
    const auto other = stop();
    runner.end("a");
    time.advance(1s);
    CHECK(done == (choice == 1 ? 2 : 1));
    CHECK(*other == 1);
    CHECK(seen().phase == (choice == 2 ? Phase::starting : Phase::off));
    CHECK(seen().last_exit.has_value() == (choice != 0));
}
