#include "daemon/supervision/supervisor.h"

#include <signal.h>

#include <catch2/catch.hpp>

#include "tests/unit/supervision/supervision_fixture.h"

using namespace brokerd;
using namespace brokerd::test;
using namespace std::chrono_literals;

TEST_CASE("the phases have names", "[supervision]") {
    using Phase = PluginRun::Phase;
    CHECK(to_text(Phase::off) == "off");
    CHECK(to_text(Phase::starting) == "starting");
    CHECK(to_text(Phase::running) == "running");
    CHECK(to_text(Phase::stopping) == "stopping");
    CHECK(to_text(Phase::restarting) == "restarting");
    CHECK(to_text(Phase::failed) == "failed");
}

TEST_CASE_METHOD(SupervisionFixture, "a plugin starts, and runs once it has answered", "[supervision]") {
    CHECK(seen().phase == Phase::off);
    time.advance(5s);
    runner.start_time = time.wall_clock();
    run();
    CHECK(seen().phase == Phase::starting);
    CHECK(seen().since == time.wall_clock());
    CHECK(seen().pid == 0);
    time.advance(1s);
    runner.begin("a");
    CHECK(seen().phase == Phase::starting);
    CHECK(seen().since == time.wall_clock() - 1s);
    CHECK(seen().pid == 101);
    supervisor->answered("a");
    CHECK(seen().phase == Phase::running);
    CHECK(seen().started == runner.start_time);
    CHECK(seen().reason.empty());
    CHECK(seen().restarts == 0);
    CHECK_FALSE(seen().last_exit);
    supervisor->answered("a");
    CHECK(phases == std::vector{Phase::starting, Phase::starting, Phase::running});
}

TEST_CASE_METHOD(SupervisionFixture, "an answer may be faster than the runner's report", "[supervision]") {
    supervisor->answered("a");
    run();
    supervisor->answered("a");
    CHECK(seen().phase == Phase::starting);
    runner.begin("a");
    CHECK(seen().phase == Phase::running);
    runner.end("a");
    supervisor->answered("a");  // of the past
    time.advance(1s);
    runner.begin("a");
    CHECK(seen().phase == Phase::starting);
}

TEST_CASE_METHOD(SupervisionFixture, "a trial's end is final and tells why", "[supervision]") {
    run(Mode::trial);
    runner.begin("a");
    SECTION("an exit") {
        time.advance(213ms);
        runner.end("a", exited(1, "cannot open /dev/fuse"));
        CHECK(seen().reason == "it exited with status 1 0.21 s after its start: cannot open /dev/fuse");
    }
    SECTION("after it has answered, too") {
        supervisor->answered("a");
        time.advance(90s);
        runner.end("a", {PluginExit::Kind::killed, SIGSEGV, false, {}, {}});
        CHECK(seen().reason == "it was killed by SIGSEGV 90 s after its start");
    }
    SECTION("with a clock that has been set back") {
        auto exit = exited(2);
        exit.at = time.wall_clock() - 1h;
        runner.end("a", exit);
        CHECK(seen().reason == "it exited with status 2");
    }
    CHECK(seen().phase == Phase::off);
    CHECK(seen().last_exit);
    CHECK(seen().pid == 0);
    time.advance(1h);
    CHECK(runner.starts["a"] == 1);
    CHECK_FALSE(seen().next_attempt);
}

TEST_CASE_METHOD(SupervisionFixture, "a trial that cannot be started is off with the reason", "[supervision]") {
    run(Mode::trial);
    runner.refuse("a", "its rootfs has no /bin/x");
    CHECK(seen().phase == Phase::off);
    CHECK(seen().reason == "its rootfs has no /bin/x");
    time.advance(1h);
    CHECK(runner.starts["a"] == 1);
    run();
    CHECK(seen().phase == Phase::starting);
    CHECK(seen().reason.empty());
}

TEST_CASE_METHOD(SupervisionFixture, "a trial that is kept is started again after its end", "[supervision]") {
    bring_up(Mode::trial);
    run(Mode::kept, 2);
    CHECK(seen().phase == Phase::running);
    CHECK(runner.starts["a"] == 1);
    runner.end("a", exited(1));
    time.advance(100ms);
    CHECK(runner.of("a").record->revision == 2);
}

TEST_CASE_METHOD(SupervisionFixture, "a kept plugin that ends is started again, ever more slowly", "[supervision]") {
    run();
    auto expected = 100ms;
    for (unsigned count = 1; count < 15; ++count) {
        runner.begin("a");
        supervisor->answered("a");
        runner.end("a", exited(3, "no"));
        CHECK(seen().phase == Phase::restarting);
        CHECK(seen().reason == "it exited with status 3 right after its start: no");
        CHECK(seen().restarts == count);
        CHECK(seen().last_exit->status == 3);
        CHECK(pause() == expected);
        time.advance(expected - 1ms);
        CHECK_FALSE(runner.has("a"));
        time.advance(1ms);
        REQUIRE(runner.has("a"));
        CHECK(seen().phase == Phase::starting);
        CHECK_FALSE(seen().next_attempt);
        CHECK(seen().reason == "it exited with status 3 right after its start: no");
        expected = std::min<std::chrono::milliseconds>(expected * 2, 60s);
        runner.start_time = time.wall_clock();
    }
    CHECK(expected == 60s);
}

TEST_CASE_METHOD(SupervisionFixture, "one that cannot be started is failed, and tried ever more slowly",
                 "[supervision]") {
    run();
    auto expected = 100ms;
    for (unsigned count = 1; count < 15; ++count) {
        runner.refuse("a", "no runtime");
        CHECK(seen().phase == Phase::failed);
        CHECK(seen().reason == "no runtime");
        CHECK(seen().restarts == count);
        CHECK(pause() == expected);
        time.advance(expected);
        expected = std::min<std::chrono::milliseconds>(expected * 2, 60s);
    }
    runner.begin("a");
    supervisor->answered("a");
    CHECK(seen().reason.empty());
    CHECK(seen().restarts == 14);
}

TEST_CASE_METHOD(SupervisionFixture, "a stable minute brings the first pause back", "[supervision]") {
    const auto [life, answers, expected] = GENERATE(table<std::chrono::seconds, bool, std::chrono::milliseconds>(
        {{60s, true, 100ms}, {59s, true, 200ms}, {3600s, false, 200ms}}));
    run();
    runner.refuse("a", "not yet");
    time.advance(100ms);
    runner.begin("a");
    if (answers) supervisor->answered("a");
    time.advance(life);
    runner.end("a");
    CHECK(pause() == expected);
    CHECK(seen().restarts == 2);
}

TEST_CASE_METHOD(SupervisionFixture, "a new record does not disturb a plugin, but ends a pause", "[supervision]") {
    bring_up();
    run(Mode::kept, 2);
    CHECK(runner.starts["a"] == 1);
    runner.end("a");
    time.advance(100ms);
    CHECK(runner.of("a").record->revision == 2);
    runner.refuse("a", "no");
    REQUIRE(pause() == 200ms);
    run(Mode::kept, 2);
    CHECK(seen().phase == Phase::failed);
    CHECK(pause() == 200ms);
    run(Mode::kept, 3);
    CHECK(seen().phase == Phase::starting);
    CHECK(runner.of("a").record->revision == 3);
    runner.refuse("a", "no");
    CHECK(pause() == 100ms);
    CHECK(seen().restarts == 3);
}

TEST_CASE_METHOD(SupervisionFixture, "a restart stops and starts, and counts", "[supervision]") {
    bring_up();
    supervisor->restart("a", "it has not answered three times");
    CHECK(seen().phase == Phase::stopping);
    CHECK(seen().reason == "it has not answered three times");
    CHECK(runner.of("a").terms == 1);
    supervisor->restart("a", "another reason");
    CHECK(runner.of("a").terms == 1);
    time.advance(10s);
    CHECK(runner.of("a").kills == 1);
    run(Mode::kept, 2);
    runner.end("a");
    CHECK(seen().phase == Phase::starting);
    CHECK(seen().reason == "it has not answered three times");
    CHECK(seen().restarts == 1);
    CHECK(runner.starts["a"] == 2);
    CHECK(runner.of("a").record->revision == 2);
    runner.begin("a");
    CHECK(seen().reason == "it has not answered three times");
    supervisor->answered("a");
    CHECK(seen().reason.empty());
}

TEST_CASE_METHOD(SupervisionFixture, "what does not run is not restarted", "[supervision]") {
    supervisor->restart("a", "x");
    run();
    supervisor->restart("a", "x");  // it is being started anyway
    CHECK(phases == std::vector{Phase::starting});
    runner.refuse("a", "no");
    supervisor->restart("a", "x");
    CHECK(pause() == 100ms);
    const auto done = stop();
    turn();
    supervisor->restart("a", "x");
    turn();
    CHECK(seen().phase == Phase::off);
    CHECK(runner.starts["a"] == 1);
}

TEST_CASE_METHOD(SupervisionFixture, "a supervisor that goes leaves plugins running", "[supervision]") {
    bring_up();
    supervisor->run(plugin_record("b"), Mode::kept);
    supervisor->run(plugin_record("c"), Mode::kept);
    const auto done = stop();
    supervisor->stop("unknown", [done] { ++*done; });
    supervisor.reset();
    CHECK_FALSE(runner.of("a").watched);
    CHECK(runner.of("a").kills == 0);
    runner.begin("b");  // it was being started
    CHECK_FALSE(runner.of("b").watched);
    runner.refuse("c", "no");
    runner.end("a");
    time.advance(1h);
    CHECK(*done == 0);
}
