#include "tests/unit/core/managed_runs_fixture.h"

using namespace brokerd;
using namespace brokerd::test;
using namespace std::chrono_literals;

TEST_CASE("an enabled plugin is offered before it runs, and runs once it answers", "[core]") {
    Host host;
    host.runs.apply({host.plugin(true)});
    REQUIRE(host.offers.now);
    CHECK(host.offers.now->endpoint.path() == "/run/exec/" + kId + "/x.sock");
    REQUIRE(host.offers.now->names.size() == 2);
    CHECK(host.offers.now->names[0].str() == "p:latest");
    CHECK(host.offers.now->names[1].str() == "p");
    CHECK(host.state() == "starting");
    host.runner.begin(kId);
    CHECK(host.state() == "starting");
    host.let_answer();
    CHECK(host.state() == "running");
    CHECK(host.told.back() == "p:latest running");
}

TEST_CASE("a trial ends with the plugin's answer and is kept once it is stored", "[core]") {
    Host host;
    host.runs.apply({host.plugin(false)});
    CHECK_FALSE(host.offers.now);
    host.start();
    host.runner.begin(kId);
    CHECK(host.answers.empty());
    host.let_answer();
    REQUIRE(host.answers == std::vector<Host::Problem>{std::nullopt});
    host.runs.apply({host.plugin(false)});  // something else was changed meanwhile
    CHECK(host.runner.has(kId));
    host.runs.apply({host.plugin(true)});
    host.runner.end(kId, exited(1));
    CHECK(host.state() == "restarting");
    host.time.advance(100ms);
    CHECK(host.runner.is_launching(kId));
}

TEST_CASE("a trial of a plugin that answers before its start is reported ends when it runs", "[core]") {
    Host host;
    host.runs.apply({host.plugin(false)});
    host.start();
    host.let_answer();
    CHECK(host.state() == "starting");
    CHECK(host.answers.empty());
    host.runner.begin(kId);
    CHECK(host.state() == "running");
    CHECK(host.answers == std::vector<Host::Problem>{std::nullopt});
}

TEST_CASE("a plugin that ends between its answer and its being stored is started again", "[core]") {
    Host host;
    host.runs.apply({host.plugin(false)});
    host.start();
    host.runner.begin(kId);
    host.let_answer();
    host.runner.end(kId, exited(1));
    host.time.advance(1s);
    CHECK(host.runner.is_launching(kId));
}

TEST_CASE("a trial tells why the plugin ended, and leaves nothing", "[core]") {
    Host host;
    host.runs.apply({host.plugin(false)});
    host.start();
    host.runner.begin(kId);
    host.runner.end(kId, exited(3));
    host.time.advance(1s);
    REQUIRE(host.answers.size() == 1);
    REQUIRE(host.answers[0]);
    CHECK_THAT(*host.answers[0], Catch::Contains("exited with status 3"));
    CHECK_FALSE(host.offers.now);
    CHECK(host.state() == "disabled");
    CHECK_FALSE(host.runner.has(kId));
    host.time.advance(10min);
    CHECK(host.runner.starts[kId] == 1);
}

TEST_CASE("a trial that nobody can start tells the runner's reason", "[core]") {
    Host host;
    host.runs.apply({host.plugin(false)});
    host.start();
    host.runner.refuse(kId, "there is no runc");
    host.time.advance(1s);
    REQUIRE(host.answers.size() == 1);
    CHECK(host.answers[0] == "there is no runc");
    CHECK(host.state() == "disabled");
}

TEST_CASE("a trial without an answer ends in time, with a diagnosis, once the plugin is gone", "[core]") {
    Host host;
    host.runs.apply({host.plugin(false)});
    host.start(5s);
    host.runner.begin(kId);
    host.time.advance(5s);
    host.time.advance(1s);
    CHECK(host.answers.empty());  // it is still ending
    CHECK(host.runner.of(kId).terms == 1);
    CHECK(host.state() == "stopping");
    host.runner.end(kId, exited(0));
    host.time.advance(1s);
    REQUIRE(host.answers.size() == 1);
    CHECK(host.answers[0] == host.diagnosis);
    CHECK(host.last_try == "nobody listens");
    CHECK(host.state() == "disabled");
}

TEST_CASE("a trial of which nothing is known in time says what came of asking it last", "[core]") {
    Host host;
    host.runs.apply({host.plugin(false)});
    host.start(5s);
    host.time.advance(6s);
    host.runner.refuse(kId, "it was given up");
    host.time.advance(1s);
    REQUIRE(host.answers.size() == 1);
    CHECK(host.answers[0] == "it has not started in time: nobody listens");
}

TEST_CASE("a plugin whose answer is no manifest fails its trial at once", "[core]") {
    Host host;
    host.runs.apply({host.plugin(false)});
    host.start();
    host.runner.begin(kId);
    host.offers.transport.answer("hello", 200);
    host.offers.way->poke();
    host.time.advance(100ms);
    REQUIRE(host.runner.of(kId).terms == 1);
    host.runner.end(kId, exited(0));
    host.time.advance(100ms);
    REQUIRE(host.answers.size() == 1);
    CHECK(host.answers[0]);
}

TEST_CASE("a trial can be given up, and is not begun twice", "[core]") {
    Host host;
    host.runs.apply({host.plugin(false)});
    host.start();
    host.start();
    REQUIRE(host.answers.size() == 1);
    CHECK_THAT(*host.answers[0], Catch::Contains("being enabled already"));
    host.runner.begin(kId);
    host.runs.give_up(kId);
    host.runner.end(kId, exited(0));
    host.time.advance(1s);
    CHECK(host.answers.size() == 2);
    CHECK(host.state() == "disabled");
}

TEST_CASE("a trial that is given up just after its answer does not stay", "[core]") {
    Host host;
    host.runs.apply({host.plugin(false)});
    host.start();
    host.runner.begin(kId);
    host.let_answer();
    REQUIRE(host.answers == std::vector<Host::Problem>{std::nullopt});
    host.runs.give_up(kId);  // whoever asked stopped waiting before it was told
    CHECK_FALSE(host.offers.now);
    CHECK(host.runner.of(kId).terms == 1);
    host.runner.end(kId, exited(0));
    host.time.advance(10min);
    CHECK(host.state() == "disabled");
    CHECK_FALSE(host.runner.is_launching(kId));
}

TEST_CASE("a diagnosis that comes late does not end the next trial", "[core]") {
    Host host;
    host.runs.apply({host.plugin(false)});
    host.start(5s);
    host.runner.begin(kId);
    host.time.advance(5s);  // it is being diagnosed
    host.runs.give_up(kId);
    host.start(30s);
    host.time.advance(1s);
    REQUIRE(host.answers.empty());
    host.runner.end(kId, exited(0));
    host.time.advance(1ms);
    REQUIRE(host.runner.is_launching(kId));
    host.runner.begin(kId);
    host.let_answer();
    REQUIRE(host.answers.size() == 2);
    CHECK(host.answers[1] == std::nullopt);
}

TEST_CASE("a plugin takes the name of one that is gone", "[core]") {
    Host host;
    host.runs.apply({host.plugin(true)});
    PluginRecord other = *host.plugin(true);
    other.id = std::string(64, 'b');
    host.runs.apply({std::make_shared<const PluginRecord>(other)});
    REQUIRE(host.offers.now);  // withdrawn before the other one was offered
    CHECK(host.offers.now->id == other.id);
}

TEST_CASE("what is disabled or removed by hand is stopped", "[core]") {
    Host host;
    host.runs.apply({host.plugin(true)});
    host.runner.begin(kId);
    const bool removed = GENERATE(false, true);
    host.runs.apply(removed ? std::vector<PluginRecordPtr>{} : std::vector{host.plugin(false)});
    CHECK_FALSE(host.offers.now);
    CHECK(host.runner.of(kId).terms == 1);
    host.runner.end(kId, exited(0));
    host.time.advance(1s);
    CHECK(host.state() == "disabled");
}

TEST_CASE("survivors are adopted where they are wanted and stopped where not", "[core]") {
    const bool wanted = GENERATE(false, true);
    FakeScheduler time;
    FakePluginRunner runner;
    runner.left_running = {kId};
    FakeOffers offers{time};
    ManagedRuns runs{time, runner, {}, {}, offers, {}, [](const auto&...) {}};
    offers.changed = [](const std::string&) {};
    runs.apply({Host::plugin(wanted)});
    time.advance(1ms);
    REQUIRE(runner.adoptions[kId] == 1);
    runner.begin(kId);
    time.advance(1ms);
    CHECK(runner.of(kId).terms == (wanted ? 0u : 1u));
    CHECK(runner.starts[kId] == 0);
}

TEST_CASE("a plugin that does not answer any more is unhealthy, and restarted where that is wanted", "[core]") {
    Host host;
    const bool restarts = GENERATE(false, true);
    host.runs.restart_unhealthy(restarts);
    host.runs.apply({host.plugin(true)});
    host.runner.begin(kId);
    host.let_answer();
    host.runs.on_health(kId, false, "it has not answered three probes");
    if (restarts) {
        CHECK(host.runner.of(kId).terms == 1);
        return;
    }
    CHECK(host.state() == "unhealthy");
    CHECK(host.told.back() == "p:latest unhealthy: it has not answered three probes");
    host.runs.on_health(kId, true, "");
    CHECK(host.state() == "running");
}

TEST_CASE("to restart what is unhealthy holds for what is so already", "[core]") {
    Host host;
    host.runs.apply({host.plugin(true)});
    host.runner.begin(kId);
    host.let_answer();
    host.runs.restart_unhealthy(true);
    CHECK(host.runner.of(kId).terms == 0);
    host.runs.restart_unhealthy(false);
    host.runs.on_health(kId, false, "it has not answered three probes");
    CHECK(host.runner.of(kId).terms == 0);
    host.runs.restart_unhealthy(true);
    CHECK(host.runner.of(kId).terms == 1);
}

TEST_CASE("all are stopped at the end", "[core]") {
    Host host;
    host.runs.apply({host.plugin(true)});
    host.runner.begin(kId);
    bool over = false;
    host.runs.stop_all([&] { over = true; });
    host.time.advance(1s);
    CHECK_FALSE(over);
    CHECK(host.runner.of(kId).terms == 1);
    host.runner.end(kId, exited(0));
    host.time.advance(1s);
    CHECK(over);
    CHECK(host.told.back() == "p:latest disabled");
    // A reload, or somebody else's change, comes too late for this brokerd.
    host.runs.apply({host.plugin(true)});
    host.start();
    host.time.advance(1s);
    CHECK(host.answers == std::vector<Host::Problem>{"brokerd stops"});
    CHECK_FALSE(host.runner.is_launching(kId));
}
