#include "tests/fakes/fake_plugin_runner.h"
#include "tests/unit/core/plugin_table_fixture.h"
#include "tests/unit/managed/store_fixture.h"

// Managed plugins as the table offers them to engines, beside those that files define. Nothing is run: the test says
// what the runner does, and plays the plugin at the socket that brokerd gives it.

using namespace brokerd;
using namespace std::chrono_literals;
using Catch::Contains;
using Strings = std::vector<std::string>;

namespace {

const std::string kId(64, 'a');

struct ManagedFixture : test::PluginTableFixture {
    explicit ManagedFixture(std::chrono::milliseconds health_interval = 0ms) : PluginTableFixture{60s} {
        std::filesystem::create_directories(directory / ("exec/" + kId));
        ManagedRunning running{.runner = runner};
        running.places = {directory / "plugins", directory / "exec"};
        running.runner_problem = [this] { return runner_problem; };
        running.health = {.interval = health_interval, .limit = 20s, .failures = 1};
        table.run_managed_plugins(std::move(running));
    }

    static PluginRecordPtr record(bool enabled, const std::string& name = "p:latest") {
        PluginRecord made = test::make_record(name, "made for a test");
        made.id = kId;
        made.enabled = enabled;
        return std::make_shared<const PluginRecord>(std::move(made));
    }
    void apply(PluginRecordPtr installed) { table.apply(std::vector{std::move(installed)}); }
    void listen() { plugin.emplace(directory / ("exec/" + kId + "/x.sock")); }
    /// The plugin "p:latest" runs and answers.
    void run() {
        listen();
        apply(record(true));
        runner.begin(kId);
        run_until_state("p", "running");
    }

    FakePluginRunner runner;
    std::string runner_problem;
};

struct ProbedFixture : ManagedFixture {
    ProbedFixture() : ManagedFixture{1ms} {}
};

}  // namespace

TEST_CASE_METHOD(test::PluginTableFixture, "without a runner managed plugins are listed, and nothing more", "[core]") {
    table.configure_managed(1s, true);
    table.apply(std::vector{ManagedFixture::record(true)});
    CHECK(table.runs() == nullptr);
    CHECK(state("p") == "disabled");
    REQUIRE(table.list().size() == 1);
    CHECK(findings().empty());
}

TEST_CASE_METHOD(ManagedFixture, "an enabled plugin is offered under both names, and serves calls", "[core]") {
    run();
    const auto view = table.find("p");
    CHECK(view->name == "p:latest");
    CHECK(view->published.size() == 4);
    CHECK(view->implements == Strings{"VolumeDriver"});
    CHECK(view->pid == runner.last_pid);
    CHECK_THAT(call("p"), Contains("VolumeDriver"));
    CHECK(state(kId) == "running");
    CHECK(actions() == Strings{"starting", "running"});
    std::string found;
    table.when_settled("p", 60s, [&](const auto& settled) { found = settled->state; });
    CHECK(found == "running");
}

TEST_CASE_METHOD(ManagedFixture, "who looks up a plugin that starts is told once it has answered", "[core]") {
    apply(record(true));
    runner.begin(kId);
    std::string found;
    table.when_settled("p", 60s, [&](const auto& view) { found = view->state; });
    CHECK(found.empty());
    listen();
    run_until([&] { return !found.empty(); });
    CHECK(found == "running");
}

TEST_CASE_METHOD(ManagedFixture, "a managed plugin takes the name of one that a file defines, and gives it back",
                 "[core]") {
    table.apply("p", unreachable("p"));
    apply(record(true));
    CHECK(table.find("p")->kind == "managed");
    REQUIRE(table.find("p")->shadows.size() == 1);
    CHECK(table.find("p")->shadows[0].file == directory / "p/p.spec");
    CHECK(findings() == Strings{"p:latest warning shadowed"});
    PluginDefinition changed = unreachable("p");
    changed.file = directory / "q/p.json";
    table.apply("p", changed);  // does not count, but is known
    CHECK(table.find("p")->shadows[0].file == changed.file);
    CHECK(table.list().size() == 1);
    apply(record(false));
    CHECK(table.find("p")->kind == "legacy");
    CHECK(table.find("p")->definition == changed.file);
    CHECK(table.find("p:latest")->shadows.empty());
}

TEST_CASE_METHOD(ManagedFixture, "a file that goes while its name is taken does not come back", "[core]") {
    table.apply("p", unreachable("p"));
    apply(record(true));
    table.apply("p", std::nullopt);
    CHECK(table.find("p")->shadows.empty());
    apply(record(false));
    CHECK(table.find("p")->kind == "managed");
    CHECK(table.list().size() == 1);
}

TEST_CASE_METHOD(ManagedFixture, "a plugin that is given another name is offered under that alone", "[core]") {
    apply(record(true));
    apply(record(true, "q:1"));
    CHECK(state("p") == "absent");
    REQUIRE(table.find("q:1"));
    CHECK(table.find("q:1")->published == Strings{directory / "r/plugins/q:1.sock", directory / "e/q:1.sock"});
    CHECK(runner.starts[kId] == 1);
}

TEST_CASE_METHOD(ManagedFixture, "a call waits for a plugin that ended, and goes to its next run", "[core]") {
    run();
    plugin.reset();
    runner.end(kId);
    CHECK(state("p") == "restarting");
    CHECK(findings() == Strings{"p:latest error not-running"});
    test::Peer engine = test::Peer::connect(table.find("p")->published.at(0));
    REQUIRE(engine.send("POST /VolumeDriver.List HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"));
    run_until([&] { return runner.is_launching(kId); });
    CHECK_FALSE(engine.is_readable());
    listen();
    runner.begin(kId);
    run_until([&] { return engine.is_readable(); });
    CHECK_THAT(engine.read_until("}"), Contains("VolumeDriver"));
    run_until_state("p", "running");
    CHECK(table.find("p")->restarts == 1);
}

TEST_CASE_METHOD(ManagedFixture, "who calls a plugin that cannot be started is told why", "[core]") {
    settings.activation.window = 1ms;
    table.configure(settings);
    auto hasty = *record(true);
    hasty.enable_timeout = 0s;
    apply(std::make_shared<const PluginRecord>(hasty));
    runner.refuse(kId, "there is no runc");
    runner_problem = "there is no runc in PATH";
    const unsigned before = table.find("p")->attempts;
    run_until([&] { return table.find("p")->attempts > before + 1; });
    CHECK_THAT(call("p"), Contains("HTTP/1.1 503 ") && Contains(": there is no runc"));
    CHECK(findings() == Strings{" error oci-runtime", "p:latest error not-running"});
}

TEST_CASE_METHOD(ManagedFixture, "who calls a plugin that runs and does not listen is told what was tried", "[core]") {
    auto hasty = *record(true);
    hasty.enable_timeout = 0s;
    apply(std::make_shared<const PluginRecord>(hasty));
    runner.begin(kId);
    run_until([&] { return table.find("p")->reason.find("no such socket") != std::string::npos; });
    CHECK_THAT(call("p"), Contains("HTTP/1.1 503 ") && Contains("no such socket") && Contains("it was tried for"));
}

TEST_CASE_METHOD(ManagedFixture, "what lies where a plugin's socket is to be, and is none, is not connected to",
                 "[core]") {
    test::write_file(directory / ("exec/" + kId + "/x.sock"), std::string{});
    apply(record(true));
    runner.begin(kId);
    run_until([&] { return !table.find("p")->reason.empty(); });
    CHECK_THAT(table.find("p")->reason, Contains("it is no socket"));
}

TEST_CASE_METHOD(ProbedFixture, "a plugin that fails its probes is unhealthy, until it answers or nobody asks",
                 "[core]") {
    run();
    plugin->status = 500;
    run_until_state("p", "unhealthy");
    CHECK(findings() == Strings{"p:latest error not-running"});
    plugin->status = 200;
    run_until_state("p", "running");
    plugin->status = 500;
    run_until_state("p", "unhealthy");
    table.configure_managed(0ms, true);
    CHECK(state("p") == "running");
    CHECK(runner.of(kId).terms == 0);
}

TEST_CASE_METHOD(ProbedFixture, "a plugin that fails its probes is restarted where that is wanted", "[core]") {
    run();
    table.configure_managed(1ms, true);
    plugin->status = 500;
    run_until([&] { return runner.of(kId).terms > 0; });
}

TEST_CASE_METHOD(ManagedFixture, "a reload leaves managed plugins their own window", "[core]") {
    run();
    settings.answer_limits.general = std::make_shared<const AnswerLimits>(1ms);
    table.configure(settings);
    plugin->is_mute = true;
    CHECK_THAT(call("p"), Contains("HTTP/1.1 504 "));
    CHECK(state("p") == "running");
}

TEST_CASE_METHOD(ManagedFixture, "what keeps a managed plugin from being published is a finding", "[core]") {
    std::filesystem::create_directories(directory / "r/plugins/p.sock/in the way");
    apply(record(true));
    CHECK(findings() == Strings{"p:latest error not-published"});
    CHECK(table.find("p")->published.size() == 2);
}

TEST_CASE_METHOD(ManagedFixture, "the metrics count managed plugins and their restarts", "[core]") {
    table.apply("x", unreachable("x"));
    run();
    runner.end(kId);
    std::optional<BrokerCounts> counts;
    table.collect_counts([&](BrokerCounts now) { counts = std::move(now); });
    run_until([&] { return counts.has_value(); });
    REQUIRE(counts->plugins.size() == 2);
    CHECK(counts->plugins[0].kind == "managed");
    CHECK(counts->plugins[0].state == "restarting");
    CHECK(counts->plugins[0].restarts == 1);
    CHECK(counts->plugins[1].kind == "legacy");
    CHECK(counts->managed_available);
    table.set_managed_unavailable("the state root cannot be read");
    CHECK(findings()[0] == " error state-root");
}

TEST_CASE_METHOD(ManagedFixture, "a plugin that ends as it was told to has stopped", "[core]") {
    run();
    apply(record(false));
    CHECK(state("p") == "stopping");
    runner.end(kId);
    CHECK(state("p") == "disabled");
    CHECK(actions().back() == "stopped");
}

TEST_CASE_METHOD(ManagedFixture, "a plugin that is disabled before its first answer is told of is offered no more",
                 "[core]") {
    apply(record(true));
    apply(record(false));
    test::run_ready(loop);
    CHECK(table.find("p")->published.empty());
    runner.refuse(kId, "it was given up");
    CHECK(state("p") == "disabled");
}

TEST_CASE_METHOD(test::PluginTableFixture, "doctor knows nothing of a runner that says nothing", "[core]") {
    FakePluginRunner runner;
    settings.eager = false;
    table.configure(settings);
    table.run_managed_plugins({.runner = runner});
    table.apply(std::vector{ManagedFixture::record(true)});
    CHECK(state("p") == "starting");  // also where plugins are lazy
    CHECK(table.find("p")->attempts > 0);
    CHECK(table.doctor().empty());
}
