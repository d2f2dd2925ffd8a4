#include <catch2/catch.hpp>
#include <filesystem>

#include "tests/unit/loop/loop_fixture.h"
#include "tests/unit/runtime/host_fixture.h"

using namespace brokerd;
using namespace brokerd::test;
namespace fs = std::filesystem;

namespace {

/// Why it does not start; nothing may be left of it.
std::string why_not(RuntimeHost& host, const PluginRecordPtr& plugin) {
    const auto run = host.start(plugin);
    CHECK_FALSE(host.is_started(run));
    CHECK(host.leftovers(plugin->id) == "");
    return run->error.value_or("");
}

std::string fake_runtime(const RuntimeHost& host, const std::string& script) {
    const std::string path = host.directory / "fake";
    test::write_file(path, "#!/bin/sh\n" + script);
    fs::permissions(path, fs::perms::owner_all);
    return path;
}

bool contains(const std::string& text, const std::string& part) {
    UNSCOPED_INFO(text);
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("without its rootfs a plugin does not start", "[runtime]") {
    if (!can_run_containers()) return;
    RuntimeHost host;
    const auto plugin = host.plugin("exit 0");
    fs::remove_all(host.settings.state_root + "/plugins/" + plugin->id + "/rootfs");
    CHECK(contains(why_not(host, plugin), "rootfs is missing; remove the plugin and install it again"));
}

TEST_CASE("without an OCI runtime no plugin starts, and that is known before", "[runtime]") {
    if (!can_run_containers()) return;
    RuntimeHost host;
    host.settings.runtime = "no-such-runtime";
    host.new_runner();
    CHECK(contains(host.runner->problem(), "no OCI runtime: no-such-runtime is not installed"));
    CHECK(contains(why_not(host, host.plugin("exit 0")), "no OCI runtime: no-such-runtime is not installed"));
}

TEST_CASE("an entrypoint that is not there is the reason", "[runtime]") {
    if (!can_run_containers()) return;
    RuntimeHost host;
    const auto plugin = host.plugin("exit 0", R"(,"propagatedMount":"/mnt")");
    fs::create_directories(host.settings.state_root + "/plugins/" + plugin->id + "/rootfs/mnt");
    fs::remove(host.settings.state_root + "/plugins/" + plugin->id + "/rootfs/bin/sh");
    CHECK(contains(why_not(host, plugin), "/bin/sh"));
}

TEST_CASE("a plugin that ends at once has started, and tells how it ended", "[runtime]") {
    if (!can_run_containers()) return;
    RuntimeHost host;
    const auto plugin = host.plugin("echo out of paper >&2; exit 5");
    const auto run = host.start(plugin);
    REQUIRE(host.is_started(run));
    REQUIRE(host.has_ended(run));
    CHECK(run->exit->str() == "exited with status 5: out of paper");
    CHECK(host.leftovers(plugin->id) == "");
}

TEST_CASE("a runtime that fails says why", "[runtime]") {
    if (!can_run_containers()) return;
    RuntimeHost host;
    host.settings.runtime = fake_runtime(host, "echo my disk is on fire >&2; exit 1");
    host.new_runner();
    const auto plugin = host.plugin("exit 0");
    CHECK(why_not(host, plugin) != "");
}

TEST_CASE("a shim that cannot run, fails, or talks nonsense is told", "[runtime]") {
    if (!can_run_containers()) return;
    RuntimeHost host;
    const auto plugin = host.plugin("exit 0");
    const auto with_shim = [&](const std::string& script) {
        host.settings.shim = fake_runtime(host, script);
        host.new_runner();
        return why_not(host, plugin);
    };
    CHECK(contains(with_shim("exit 9"), "brokerd-shim ended with status 9 before it could start the plugin"));
    CHECK(contains(with_shim("echo '{}' >&3"), "brokerd-shim's report cannot be read"));
    CHECK(contains(with_shim("head -c 1000000 /dev/zero >&3"), "brokerd-shim reports more than it should"));
    CHECK(contains(with_shim("kill -9 $$"), "was killed by SIGKILL"));
    host.settings.shim = "/none/brokerd-shim";
    host.new_runner();
    CHECK(contains(why_not(host, plugin), "cannot run /none/brokerd-shim: No such file or directory"));
}

TEST_CASE("a runner that goes away gives up a start at once", "[runtime]") {
    if (!can_run_containers()) return;
    RuntimeHost host;
    const auto plugin = host.plugin("exit 0");
    host.settings.shim = fake_runtime(host, "mkfifo $0.end; touch $0.begun; exec cat $0.end");
    host.new_runner();
    const auto run = host.start(plugin);
    REQUIRE(run_until(host.loop, [&] { return fs::exists(host.settings.shim + ".begun"); }));
    host.new_runner();
    CHECK_FALSE(run->plugin);
    CHECK_FALSE(run->error);
    // The shim lives on, so its plugin may: the next brokerd has to look. Then the shim ends.
    CHECK(host.runner->survivors() == std::vector<std::string>{plugin->id});
    const auto adopted = host.adopt(plugin->id);
    test::write_file(host.settings.shim + ".end", "");
    REQUIRE(run_until(host.loop, [&] { return adopted->error.has_value(); }));
    CHECK(contains(*adopted->error, "while brokerd was away, it ended"));
    CHECK(host.leftovers(plugin->id) == "");
}

TEST_CASE("what else lies in a socket directory goes with the plugin, and nothing it points at", "[runtime]") {
    if (!can_run_containers()) return;
    RuntimeHost host;
    test::write_file(host.directory / "canary", "alive");
    const auto plugin =
        host.plugin("cd /run/docker/plugins; mkdir -p a/b/c; touch a/b/file; busybox ln -s " +
                    (host.directory / "canary") + " link; busybox ln -s /etc a/etc; touch up; sleep 600");
    const auto run = host.start(plugin);
    REQUIRE(host.is_started(run));
    REQUIRE(host.is_there(plugin, "up"));
    run->plugin->kill();
    REQUIRE(host.has_ended(run));
    CHECK(host.leftovers(plugin->id) == "");
    CHECK(fs::exists(host.directory / "canary"));
}
