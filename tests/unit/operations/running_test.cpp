#include "daemon/operations/running.h"

#include <sys/eventfd.h>

#include <catch2/catch.hpp>

#include "common/os/unique_fd.h"
#include "daemon/operations/upkeep.h"
#include "tests/unit/operations/operations_fixture.h"

using namespace brokerd;
using namespace brokerd::test;

namespace {

using Strings = std::vector<std::string>;

bool is_stored_enabled(const Operations& host) {
    return open_store(host.path()).find_name("p:latest")->enabled;
}

}  // namespace

TEST_CASE("a plugin is stored as enabled once it has answered", "[operations]") {
    const Operations host;
    host.add("p:latest");
    const auto enabled = enable_plugin(host.rooms(), "p", std::chrono::seconds{7}, -1);
    REQUIRE(enabled);
    CHECK((*enabled)->enabled);
    CHECK((*enabled)->enable_timeout == std::chrono::seconds{7});
    CHECK(host.runs().calls == Strings{"start p:latest"});
    CHECK(host.runs().last_timeout == std::chrono::seconds{7});
    CHECK(is_stored_enabled(host));
    check_error(enable_plugin(host.rooms(), "p", {}, -1), Kind::conflict,
                "plugin already enabled: plugin p:latest is enabled");
}

TEST_CASE("a plugin that does not start stays disabled, and the cause is told", "[operations]") {
    const Operations host;
    const PluginRecordPtr before = host.add("p:latest");
    host.runs().start_problem = "it exited with status 3";
    check_error(enable_plugin(host.rooms(), "p", {}, -1), Kind::failed, "it exited with status 3");
    CHECK(host.find("p:latest") == before);
    CHECK_FALSE(is_stored_enabled(host));
    CHECK(host.runs().last_timeout == kDefaultEnableTimeout);
}

TEST_CASE("an enabled plugin is neither set nor removed", "[operations]") {
    const Operations host;
    const PluginRecordPtr record = host.add("p:latest", true);
    check_error(set_plugin(host.rooms(), "p", {"DEBUG=1"}), Kind::conflict, "cannot set on an active plugin");
    check_error(remove_plugin(host.rooms(), "p", false, -1), Kind::conflict, "plugin p:latest is enabled");
    CHECK(host.find("p:latest") == record);
    host.runs().stop_problem = "it hangs in the kernel";  // what does not end cannot keep the plugin from going
    const auto removed = remove_plugin(host.rooms(), "p", true, -1);
    REQUIRE(removed);
    CHECK((*removed)->id == record->id);
    CHECK(host.find("p:latest") == nullptr);
    CHECK(host.runs().calls == Strings{"stop p:latest"});
}

TEST_CASE("a plugin that is still ending when its remover goes away stays, disabled", "[operations]") {
    const Operations host;
    host.add("p:latest", true);
    host.runs().stop_problem = "the waiting for it was given up";
    const UniqueFd cancelled{eventfd(1, EFD_CLOEXEC)};
    check_error(remove_plugin(host.rooms(), "p", true, cancelled.get()), Kind::failed,
                "plugin p:latest is not removed: the waiting for it was given up");
    REQUIRE(host.find("p:latest"));
    CHECK_FALSE(is_stored_enabled(host));
}

TEST_CASE("disabling is asked for once", "[operations]") {
    const Operations host;
    host.add("p:latest", true);
    const auto disabled = disable_plugin(host.rooms(), "p", false, -1);
    REQUIRE(disabled);
    CHECK_FALSE((*disabled)->enabled);
    CHECK_FALSE(is_stored_enabled(host));
    check_error(disable_plugin(host.rooms(), "p", false, -1), Kind::conflict,
                "plugin is already disabled: plugin p:latest found but disabled");
}

TEST_CASE("where it cannot be known who uses a plugin it stays enabled", "[operations]") {
    const Operations host;
    host.add("p:latest", true);
    host.runs().using_it = std::nullopt;
    check_error(disable_plugin(host.rooms(), "p", false, -1), Kind::cancelled, "who uses");
    CHECK(is_stored_enabled(host));
    CHECK(host.runs().calls.empty());
}

TEST_CASE("a plugin in use is disabled by force only", "[operations]") {
    const Operations host;
    host.add("p:latest", true);
    host.runs().using_it = std::vector<std::string>{"dockerd (pid 12)", "a container of sh (pid 34)"};
    check_error(disable_plugin(host.rooms(), "p", false, -1), Kind::conflict,
                "in use by dockerd (pid 12) and a container of sh (pid 34)");
    CHECK(is_stored_enabled(host));
    CHECK(host.runs().calls.empty());
    CHECK(disable_plugin(host.rooms(), "p", true, -1));
    CHECK_FALSE(is_stored_enabled(host));
}

TEST_CASE("what is done is told before anybody else can change the plugin", "[operations]") {
    const Operations host;
    const PluginRecordPtr record = host.add("p:latest");
    Strings told;
    const auto note = [&](const std::string& action) {
        return OnDone{[&, action](const PluginRecord& plugin) {
            const bool is_held = !host.rooms().claims.claim(plugin.id, plugin.name);
            told.push_back(action + (plugin.id == record->id && is_held ? "" : " too late"));
        }};
    };
    host.runs().start_problem = "it exited with status 3";
    CHECK_FALSE(enable_plugin(host.rooms(), "p", {}, -1, note("enabled")));
    host.runs().start_problem.reset();
    CHECK(enable_plugin(host.rooms(), "p", {}, -1, note("enabled")));
    CHECK_FALSE(enable_plugin(host.rooms(), "p", {}, -1, note("enabled")));
    CHECK_FALSE(remove_plugin(host.rooms(), "p", false, -1, note("removed")));
    CHECK(disable_plugin(host.rooms(), "p", false, -1, note("disabled")));
    CHECK(remove_plugin(host.rooms(), "p", false, -1, note("removed")));
    CHECK(told == Strings{"enabled", "disabled", "removed"});
}

TEST_CASE("that a plugin is disabled is told, whatever else has failed", "[operations]") {
    const Operations host;
    host.add("p:latest", true);
    host.add("q:latest", true);
    Strings told;
    const auto note = [&](const std::string& action) {
        return OnDone{[&, action](const PluginRecord& plugin) { told.push_back(action + " " + plugin.name); }};
    };
    host.runs().stop_problem = "the waiting for it was given up";
    const UniqueFd cancelled{eventfd(1, EFD_CLOEXEC)};
    CHECK_FALSE(disable_plugin(host.rooms(), "p", false, cancelled.get(), note("disabled")));
    for (int i = 0; i < 2; ++i) {
        CHECK_FALSE(remove_plugin(host.rooms(), "q", true, cancelled.get(), note("removed"), note("disabled")));
    }
    CHECK(told == Strings{"disabled p:latest", "disabled q:latest"});
}
