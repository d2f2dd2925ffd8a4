#include <catch2/catch.hpp>

#include "tests/unit/supervision/supervision_fixture.h"

using namespace brokerd;
using namespace brokerd::test;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

TEST_CASE_METHOD(SupervisionFixture, "a stop is SIGTERM at once, and done when nothing is left", "[supervision]") {
    bring_up();
    const auto done = stop();
    CHECK(seen().phase == Phase::stopping);
    CHECK(runner.of("a").terms == 1);
    time.advance(9'999ms);
    CHECK(runner.of("a").kills == 0);
    CHECK(*done == 0);
    runner.end("a");
    CHECK(seen().phase == Phase::off);
    CHECK(seen().reason.empty());
    CHECK(seen().last_exit);
    turn();
    CHECK(*done == 1);
    time.advance(1h);
    CHECK(*done == 1);
    CHECK(runner.starts["a"] == 1);
}

TEST_CASE_METHOD(SupervisionFixture, "a plugin that ignores SIGTERM is killed", "[supervision]") {
    bring_up();
    const auto done = stop();
    const auto again = stop();
    time.advance(10s);
    CHECK(runner.of("a").terms == 1);
    CHECK(runner.of("a").kills == 1);
    CHECK(seen().phase == Phase::stopping);
    CHECK(seen().reason == "it did not end within 10 s of SIGTERM and was sent SIGKILL");
    CHECK(*done == 0);
    runner.end("a");
    turn();
    CHECK(*done == 1);
    CHECK(*again == 1);
    CHECK(seen().phase == Phase::off);
}

TEST_CASE_METHOD(SupervisionFixture, "stopping what does not run is done soon, but not before it returns",
                 "[supervision]") {
    SECTION("never heard of") {}
    SECTION("off") {
        run(Mode::trial);
        runner.refuse("a", "no");
    }
    SECTION("waiting for its next attempt") {
        run();
        runner.refuse("a", "no");
    }
    const auto done = stop();
    CHECK(*done == 0);
    CHECK(seen().phase == Phase::off);
    CHECK_FALSE(seen().next_attempt);
    turn();
    CHECK(*done == 1);
    supervisor->stop("a", {});
    time.advance(1h);
    CHECK(*done == 1);
    CHECK(runner.starts["a"] <= 1);
}

TEST_CASE_METHOD(SupervisionFixture, "a start that is stopped is waited for and undone", "[supervision]") {
    run();
    const auto done = stop();
    CHECK(seen().phase == Phase::stopping);
    time.advance(1h);
    CHECK(*done == 0);
    SECTION("it comes up") {
        runner.begin("a");
        CHECK(seen().phase == Phase::stopping);
        CHECK(runner.of("a").terms == 1);
        supervisor->answered("a");
        CHECK(seen().phase == Phase::stopping);
        time.advance(10s);
        CHECK(runner.of("a").kills == 1);
        runner.end("a");
    }
    SECTION("it does not") {
        runner.refuse("a", "no");
    }
    turn();
    CHECK(*done == 1);
    CHECK(seen().phase == Phase::off);
    CHECK(seen().reason.empty());
    CHECK(runner.starts["a"] == 1);
}

TEST_CASE_METHOD(SupervisionFixture, "what is wanted again while it stops is started after that", "[supervision]") {
    bool launching = false;
    SECTION("while it runs") {
        bring_up();
    }
    SECTION("while it is being started") {
        launching = true;
        run();
    }
    bool started_before = false;
    supervisor->stop("a", [&] { started_before = runner.starts["a"] > 1; });
    run(Mode::kept, 2);
    const auto done = stop();
    run(Mode::kept, 3);
    CHECK(seen().phase == Phase::stopping);
    if (launching) runner.begin("a");
    CHECK(runner.of("a").terms == 1);
    runner.end("a");
    CHECK(seen().phase == Phase::off);
    turn();
    CHECK(*done == 1);
    CHECK_FALSE(started_before);
    CHECK(seen().phase == Phase::starting);
    CHECK(runner.of("a").record->revision == 3);
    CHECK(seen().restarts == 0);
}

TEST_CASE_METHOD(SupervisionFixture, "a stop within a pause is done before the next run", "[supervision]") {
    run();
    runner.refuse("a", "no");
    bool ran = true;
    supervisor->stop("a", [&] { ran = runner.has("a"); });
    run();
    turn();
    CHECK_FALSE(ran);
    CHECK(seen().phase == Phase::starting);
    CHECK(seen().restarts == 0);  // enabled anew
}

TEST_CASE_METHOD(SupervisionFixture, "a stop cancels a restart", "[supervision]") {
    bring_up();
    supervisor->restart("a", "it is unhealthy");
    const auto done = stop();
    CHECK(seen().phase == Phase::stopping);
    CHECK(seen().reason.empty());
    runner.end("a");
    time.advance(1h);
    CHECK(*done == 1);
    CHECK(seen().phase == Phase::off);
    CHECK(runner.starts["a"] == 1);
}

TEST_CASE_METHOD(SupervisionFixture, "what SIGKILL does not end is failed, and nobody waits for it", "[supervision]") {
    bring_up();
    const auto done = stop();
    time.advance(20s);
    CHECK(runner.of("a").kills == 1);
    CHECK(*done == 1);
    CHECK(seen().phase == Phase::failed);
    CHECK_THAT(seen().reason, Contains("process 101") && Contains("10 s after SIGKILL"));
    CHECK_FALSE(seen().next_attempt);
    CHECK(seen().pid == 101);
    SECTION("it ends one day") {
        runner.end("a");
        CHECK(seen().phase == Phase::off);
        time.advance(1h);
        CHECK(runner.starts["a"] == 1);
    }
    SECTION("it is wanted again") {
        run(Mode::kept, 2);
        CHECK(seen().phase == Phase::failed);
        CHECK_THAT(seen().reason, Contains("started again as soon as it has ended"));
        time.advance(1h);
        CHECK(runner.starts["a"] == 1);
        runner.end("a");
        turn();
        CHECK(seen().phase == Phase::starting);
        CHECK(runner.of("a").record->revision == 2);
    }
    SECTION("another stop tries again") {
        const auto again = stop();
        CHECK(seen().phase == Phase::stopping);
        CHECK(runner.of("a").kills == 2);
        SECTION("and succeeds") {
            runner.end("a");
            turn();
            CHECK(seen().phase == Phase::off);
        }
        SECTION("and does not") {
            time.advance(10s);
            CHECK(seen().phase == Phase::failed);
        }
        CHECK(*again == 1);
    }
    SECTION("it is removed") {
        supervisor->forget("a");
        CHECK(seen().phase == Phase::off);
        CHECK(seen().pid == 0);
        const auto told = phases.size();
        SECTION("and ends") {
            runner.end("a");
        }
        SECTION("and is stopped, and ends") {
            const auto again = stop();
            runner.end("a");
            turn();
            CHECK(*again == 1);
        }
        turn();
        CHECK(phases.size() == told);
        CHECK(seen().phase == Phase::off);
    }
    CHECK(*done == 1);
}

TEST_CASE_METHOD(SupervisionFixture, "a restart that SIGKILL does not end goes on one day", "[supervision]") {
    bring_up();
    supervisor->restart("a", "it is unhealthy");
    time.advance(20s);
    CHECK(seen().phase == Phase::failed);
    supervisor->restart("a", "again");
    runner.end("a");
    CHECK(seen().phase == Phase::starting);
    CHECK(seen().reason == "it is unhealthy");
    CHECK(seen().restarts == 1);
}

TEST_CASE_METHOD(SupervisionFixture, "all are stopped side by side", "[supervision]") {
    int done = 0;
    supervisor->stop_all([&] { ++done; });
    CHECK(done == 0);
    turn();
    CHECK(done == 1);
    bring_up();
    for (const char* id : {"b", "c", "d"}) supervisor->run(plugin_record(id), Mode::kept);
    runner.begin("b");
    runner.refuse("c", "no");
    supervisor->stop_all([&] { ++done; });
    supervisor->stop_all({});
    CHECK(runner.of("a").terms == 1);
    CHECK(runner.of("b").terms == 1);
    runner.end("a");
    runner.refuse("d", "no");
    turn();
    CHECK(done == 1);
    runner.end("b");
    turn();
    CHECK(done == 2);
    time.advance(1h);
    CHECK(runner.runs.empty());
    CHECK(done == 2);
}

TEST_CASE_METHOD(SupervisionFixture, "one who waits and throws takes no other along", "[supervision]") {
    bring_up();
    supervisor->stop("a", [] { throw std::runtime_error{"x"}; });
    const auto done = stop();
    run();
    runner.end("a");
    CHECK_THROWS(turn());
    turn();
    CHECK(*done == 1);
    CHECK(seen().phase == Phase::starting);
}
