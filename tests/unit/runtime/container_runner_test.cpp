#include "daemon/runtime/container_runner.h"

#include <signal.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "daemon/shim/shim_files.h"
#include "tests/unit/loop/loop_fixture.h"
#include "tests/unit/runtime/host_fixture.h"

using namespace brokerd;
using namespace brokerd::test;
namespace fs = std::filesystem;

namespace {

constexpr const char* kObedient =
    "trap 'echo bye >&2; exit 3' TERM; touch /run/docker/plugins/up; while :; do sleep 1 & wait; done";
constexpr const char* kStubborn = "trap '' TERM; touch /run/docker/plugins/up; while :; do sleep 1; done";

}  // namespace

TEST_CASE("a plugin runs, is told to end, and leaves nothing", "[runtime]") {
    if (!can_run_containers()) return;
    RuntimeHost host;
    const auto plugin = host.plugin(kObedient, R"(,"propagatedMount":"/mnt")");
    fs::create_directories(host.settings.state_root + "/plugins/" + plugin->id + "/rootfs/mnt");
    const auto run = host.start(plugin);
    REQUIRE(host.is_started(run));
    CHECK(run->plugin->pid() > 0);
    CHECK(run->plugin->started() <= std::chrono::system_clock::now());
    REQUIRE(host.is_there(plugin, "up"));
    CHECK(host.leftovers(plugin->id) != "");
    run->plugin->terminate();
    REQUIRE(host.has_ended(run));
    CHECK(run->exit->kind == PluginExit::Kind::exited);
    CHECK(run->exit->status == 3);
    CHECK(run->exit->last_words == "bye");
    CHECK(host.leftovers(plugin->id) == "");

    const auto again = host.start(plugin);
    REQUIRE(host.is_started(again));
    again->plugin->kill();
    REQUIRE(host.has_ended(again));
    CHECK(host.leftovers(plugin->id) == "");
}

TEST_CASE("a plugin that ignores SIGTERM is ended by SIGKILL", "[runtime]") {
    if (!can_run_containers()) return;
    RuntimeHost host;
    const auto plugin = host.plugin(kStubborn);
    const auto run = host.start(plugin);
    REQUIRE(host.is_started(run));
    REQUIRE(host.is_there(plugin, "up"));
    run->plugin->terminate();
    run->plugin->kill();
    run->plugin->kill();
    REQUIRE(host.has_ended(run));
    CHECK(run->exit->kind == PluginExit::Kind::killed);
    CHECK(run->exit->status == SIGKILL);
    run->plugin->kill();
    CHECK(host.leftovers(plugin->id) == "");
}

TEST_CASE("a plugin with the host's process ids leaves no children", "[runtime]") {
    if (!can_run_containers()) return;
    RuntimeHost host;
    const auto plugin = host.plugin(
        "trap 'exit 0' TERM; sleep 4321 & touch /run/docker/plugins/up; while :; do sleep 1 & wait $!; done",
        R"(,"pidhost":true)");
    const auto run = host.start(plugin);
    REQUIRE(host.is_started(run));
    REQUIRE(host.is_there(plugin, "up"));
    run->plugin->terminate();
    REQUIRE(host.has_ended(run));
    CHECK(run->exit->status == 0);
    CHECK(host.leftovers(plugin->id) == "");
}

TEST_CASE("what a plugin mounts below its propagated mount is on the host, and goes with it", "[runtime]") {
    if (!can_run_containers()) return;
    RuntimeHost host;
    const auto plugin = host.plugin(
        "mkdir /mnt/volume && mount -t tmpfs none /mnt/volume && touch /mnt/volume/file /run/docker/plugins/up && "
        "sleep 600",
        R"(,"propagatedMount":"/mnt","linux":{"capabilities":["CAP_SYS_ADMIN"]})");
    fs::create_directories(host.settings.state_root + "/plugins/" + plugin->id + "/rootfs/mnt");
    const auto run = host.start(plugin);
    REQUIRE(host.is_started(run));
    REQUIRE(host.is_there(plugin, "up"));
    const std::string volume = host.settings.state_root + "/plugins/" + plugin->id + "/propagated-mount/volume";
    CHECK(fs::exists(volume + "/file"));
    run->plugin->kill();
    REQUIRE(host.has_ended(run));
    CHECK_FALSE(fs::exists(volume + "/file"));
    CHECK(host.leftovers(plugin->id) == "");
}

TEST_CASE("a plugin outlives its runner and is adopted by the next", "[runtime]") {
    if (!can_run_containers()) return;
    RuntimeHost host;
    const auto plugin = host.plugin(kObedient);
    auto run = host.start(plugin);
    REQUIRE(host.is_started(run));
    REQUIRE(host.is_there(plugin, "up"));
    const pid_t pid = run->plugin->pid();
    const auto started = run->plugin->started();
    run->plugin.reset();
    host.new_runner();
    REQUIRE(host.runner->survivors() == std::vector<std::string>{plugin->id});
    const auto adopted = host.adopt(plugin->id);
    REQUIRE(host.is_started(adopted));
    CHECK(adopted->plugin->pid() == pid);
    CHECK(adopted->plugin->started() <= started);
    adopted->plugin->terminate();
    REQUIRE(host.has_ended(adopted));
    CHECK(adopted->exit->status == 3);
    CHECK_FALSE(run->exit);
    CHECK(host.leftovers(plugin->id) == "");
}

TEST_CASE("what ended while nobody watched is told at adoption, or cleared away by the next", "[runtime]") {
    if (!can_run_containers()) return;
    RuntimeHost host;
    const auto plugin = host.plugin(kObedient);
    auto run = host.start(plugin);
    REQUIRE(host.is_started(run));
    REQUIRE(host.is_there(plugin, "up"));
    run->plugin->terminate();
    run->plugin.reset();
    host.runner.reset();
    REQUIRE(run_until(host.loop,
                      [&] { return fs::exists(host.settings.runtime_root + "/bundles/" + plugin->id + "/exit"); }));
    SECTION("adopted all the same") {
        host.new_runner();
        const auto adopted = host.adopt(plugin->id);
        // Whether its shim lives a moment longer or not: the end is told.
        REQUIRE(run_until(host.loop, [&] { return adopted->error || adopted->exit; }));
    }
    SECTION("cleared away") {
        host.new_runner();
        REQUIRE(host.runner->survivors() == std::vector{plugin->id});
        const auto adopted = host.adopt(plugin->id);
        REQUIRE(run_until(host.loop, [&] { return adopted->error || adopted->exit; }));
        CHECK(host.leftovers(plugin->id).empty());
    }
    SECTION("started again at once") {
        host.new_runner();
        const auto again = host.start(plugin);
        REQUIRE(host.is_started(again));
        again->plugin->kill();
        REQUIRE(host.has_ended(again));
    }
}

TEST_CASE("a plugin ends with its shim", "[runtime]") {
    if (!can_run_containers()) return;
    RuntimeHost host;
    const auto plugin = host.plugin(kStubborn);
    const auto run = host.start(plugin);
    REQUIRE(host.is_started(run));
    std::ifstream in{host.settings.runtime_root + "/bundles/" + plugin->id + "/running"};
    const std::string running{std::istreambuf_iterator<char>{in}, {}};
    const auto noted = parse_shim_running(running);
    REQUIRE(noted);
    kill(noted->shim.pid, SIGKILL);  // a child of this process, not reaped
    REQUIRE(host.has_ended(run));
    CHECK(run->exit->kind == PluginExit::Kind::unknown);
    CHECK(run->exit->last_words == "its shim was killed by signal 9 before it");
    CHECK(host.leftovers(plugin->id) == "");
}

TEST_CASE("what cannot be proven to be the plugin is ended by its control group alone", "[runtime]") {
    if (!can_run_containers()) return;
    RuntimeHost host;
    const auto plugin = host.plugin(kStubborn);
    auto run = host.start(plugin);
    REQUIRE(host.is_started(run));
    REQUIRE(host.is_there(plugin, "up"));
    run->plugin.reset();
    host.runner.reset();
    // A number that belongs to this test now: whoever trusted it would kill us.
    const auto self = process_identity(getpid());
    REQUIRE(self);
    const std::string running = host.settings.runtime_root + "/bundles/" + plugin->id + "/running";
    ShimRunning wrong{{self->pid, self->start - 1}, {self->pid, self->start - 1}, {}};
    SECTION("other start times") {
        test::write_file(running, to_json(wrong));
    }
    SECTION("not readable") {
        test::write_file(running, "{");
    }
    host.new_runner();
    const auto adopted = host.adopt(plugin->id);
    REQUIRE(run_until(host.loop, [&] { return adopted->error.has_value(); }));
    CHECK(*adopted->error == "what runs cannot be proven to be this plugin, and has been ended");
    CHECK(host.leftovers(plugin->id) == "");
}

TEST_CASE("a plugin whose runtime has been removed meanwhile leaves nothing either", "[runtime]") {
    if (!can_run_containers()) return;
    RuntimeHost host;
    const auto plugin = host.plugin(kStubborn, R"(,"pidhost":true)");
    auto run = host.start(plugin);
    REQUIRE(host.is_started(run));
    run->plugin.reset();
    host.settings.runtime = "no-such-runtime";
    host.new_runner();
    const auto adopted = host.adopt(plugin->id);
    REQUIRE(host.is_started(adopted));
    adopted->plugin->kill();
    REQUIRE(host.has_ended(adopted));
    CHECK(host.leftovers(plugin->id) == "");
}

TEST_CASE("no descriptor is left of a plugin's life", "[runtime]") {
    if (!can_run_containers()) return;
    RuntimeHost host;
    const auto plugin = host.plugin("exit 0");
    const auto live = [&] {
        auto run = host.start(plugin);
        REQUIRE(host.is_started(run));
        REQUIRE(host.has_ended(run));
    };
    const auto descriptors = [] {
        return std::distance(fs::directory_iterator{"/proc/self/fd"}, fs::directory_iterator{});
    };
    live();
    // What the runner asks the host in the background has been answered.
    REQUIRE(run_until(host.loop, [&] { return host.runner->description().find("cgroups") != std::string::npos; }));
    const auto before = descriptors();
    for (int i = 0; i < 4; ++i) live();
    // A worker may close its own copies a moment after it has answered.
    CHECK(run_until(host.loop, [&] { return descriptors() <= before; }));
}

TEST_CASE("many plugins start side by side", "[runtime]") {
    if (!can_run_containers()) return;
    RuntimeHost host;
    std::vector<PluginRecordPtr> plugins;
    std::vector<std::shared_ptr<RuntimeHost::Run>> runs;
    for (int i = 0; i < 8; ++i) plugins.push_back(host.plugin(kObedient));
    for (const auto& plugin : plugins) runs.push_back(host.start(plugin));
    for (const auto& run : runs) REQUIRE(host.is_started(run));
    for (const auto& run : runs) run->plugin->kill();
    for (const auto& run : runs) REQUIRE(host.has_ended(run));
    for (const auto& plugin : plugins) CHECK(host.leftovers(plugin->id) == "");
}
