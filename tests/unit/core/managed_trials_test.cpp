#include "tests/unit/core/managed_runs_fixture.h"

// Trials that meet something else: a record that changes, a stop, the end of brokerd, another trial.

using namespace brokerd;
using namespace brokerd::test;
using namespace std::chrono_literals;
using Problems = std::vector<Host::Problem>;

TEST_CASE("a plugin that is wanted already can be waited for, too", "[core]") {
    Host host;
    host.runs.apply({host.plugin(true)});
    host.start();
    CHECK(host.answers.empty());
    CHECK(host.runner.starts[kId] == 1);
    host.runner.begin(kId);
    host.let_answer();
    CHECK(host.answers == Problems{std::nullopt});
    host.start();  // it runs: there is nothing to wait for
    CHECK(host.answers == Problems{std::nullopt, std::nullopt});
    CHECK(host.runner.starts[kId] == 1);
}

TEST_CASE("a trial whose record is stored meanwhile goes on", "[core]") {
    Host host;
    host.runs.apply({host.plugin(false)});
    host.start();
    host.runs.apply({host.plugin(true)});
    CHECK(host.answers.empty());
    host.runner.begin(kId);
    host.let_answer();
    CHECK(host.answers == Problems{std::nullopt});
    host.runner.end(kId, exited(1));
    CHECK(host.state() == "restarting");
}

TEST_CASE("an enabled plugin that somebody waits for in vain goes on trying", "[core]") {
    Host host;
    host.runs.apply({host.plugin(true)});
    host.start(5s);
    host.runner.begin(kId);
    host.time.advance(5s);
    host.time.advance(1ms);  // the diagnosis
    CHECK(host.answers == Problems{host.diagnosis});
    CHECK(host.runner.of(kId).terms == 0);
    CHECK(host.offers.now);
}

TEST_CASE("who waits for a plugin between two starts is told why it ended", "[core]") {
    Host host;
    const PluginRecordPtr record = host.plugin(true);
    host.runs.apply({record});
    host.runner.begin(kId);
    host.runner.end(kId, exited(7));
    Problems told;
    host.runs.start(record, 50ms, [&](const Host::Problem& problem) { told.push_back(problem); });
    host.time.advance(50ms);
    REQUIRE(told.size() == 1);
    CHECK_THAT(told[0].value_or(""), Catch::Contains("exited with status 7"));
    CHECK(host.state() == "restarting");
}

TEST_CASE("a diagnosis that comes after the answer changes nothing", "[core]") {
    Host host;
    host.runs.apply({host.plugin(true)});
    host.start(5s);
    host.runner.begin(kId);
    host.time.advance(5s);  // it is being diagnosed
    host.let_answer();
    host.time.advance(1s);
    CHECK(host.answers == Problems{std::nullopt});
    CHECK(host.state() == "running");
}

TEST_CASE("a trial ends where the plugin is stopped", "[core]") {
    Host host;
    host.runs.apply({host.plugin(false)});
    host.start();
    host.runner.begin(kId);
    bool stopped = false;
    host.runs.stop(kId, [&] { stopped = true; });
    CHECK(host.answers == Problems{"it has been stopped"});
    CHECK_FALSE(stopped);
    host.runner.end(kId, exited(0));
    host.time.advance(1s);
    CHECK(stopped);
}

TEST_CASE("a trial ends where brokerd does, told once", "[core]") {
    const bool answered = GENERATE(false, true);
    Host host;
    host.runs.apply({host.plugin(false)});
    host.start();
    host.runner.begin(kId);
    if (answered) host.let_answer();
    host.runs.stop_all([] {});
    CHECK(host.answers == Problems{answered ? Host::Problem{} : Host::Problem{"brokerd stops"}});
}

TEST_CASE("there is nothing to give up where nobody waits", "[core]") {
    Host host;
    host.runs.give_up(kId);
    host.runs.on_health(kId, false, "nobody knows it");
    host.runs.apply({host.plugin(true)});
    host.runner.begin(kId);
    host.runs.give_up(kId);
    CHECK(host.offers.now);
    CHECK(host.runner.of(kId).terms == 0);
}

TEST_CASE("an answer that is no manifest ends no trial that is over", "[core]") {
    const bool kept = GENERATE(false, true);
    Host host;
    host.runs.apply({host.plugin(kept)});
    if (!kept) host.start();
    host.runner.begin(kId);
    host.let_answer();
    host.offers.transport.answer("hello");
    host.offers.way->poke();
    host.time.advance(100ms);
    CHECK(host.state() == "failed");
    CHECK(host.answers == (kept ? Problems{} : Problems{std::nullopt}));
    CHECK(host.runner.of(kId).terms == 0);
}

TEST_CASE("a trial of a plugin that is being installed is told of by its name", "[core]") {
    Host host;
    host.start();  // before its record has come
    host.runner.begin(kId);
    host.let_answer();
    CHECK(host.told == std::vector<std::string>{"p:latest starting", "p:latest running"});
}

TEST_CASE("a start of which nothing at all is known says so", "[core]") {
    Host host;
    host.offers.transport.holding = true;
    host.runs.apply({host.plugin(false)});
    host.start(5s);
    host.time.advance(6s);
    host.runner.refuse(kId, "it was given up");
    host.time.advance(1s);
    CHECK(host.answers == Problems{"it has not started in time"});
}

TEST_CASE("a trial that has been told of and is not stored yet can be waited for again", "[core]") {
    Host host;
    host.runs.apply({host.plugin(false)});
    host.start();
    host.runner.begin(kId);
    host.let_answer();
    host.start();
    CHECK(host.answers == Problems{std::nullopt, std::nullopt});
    CHECK(host.runner.starts[kId] == 1);
}
