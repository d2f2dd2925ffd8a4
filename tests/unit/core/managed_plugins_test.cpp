#include "daemon/core/managed_plugins.h"

#include <catch2/catch.hpp>

#include "tests/unit/managed/store_fixture.h"

using namespace brokerd;
using namespace brokerd::test;

namespace {

using Strings = std::vector<std::string>;

PluginRecord record(const std::string& name, char id) {
    PluginRecord made = make_record(name, "made for a test");
    made.id = std::string(64, id);
    return made;
}

PluginRecordPtr shared(PluginRecord made) {
    return std::make_shared<const PluginRecord>(std::move(made));
}

/// Managed plugins, and the events that they told: "ACTION NAME".
struct Core {
    std::vector<PluginEvent> events;
    ManagedPlugins plugins{"/state/plugins",
                           [this](PluginEvent event, const std::string&) { events.push_back(std::move(event)); }};

    /// What is told when these are the plugins.
    [[nodiscard]] Strings told(const std::vector<PluginRecordPtr>& records) {
        events.clear();
        plugins.apply(records);
        Strings lines;
        for (const PluginEvent& event : events) lines.push_back(event.action + " " + event.plugin);
        return lines;
    }
};

}  // namespace

TEST_CASE("what is there at the start is no news", "[core]") {
    Core core;
    CHECK(core.told({shared(record("a:latest", 'a'))}).empty());
    CHECK(core.plugins.list().size() == 1);

    Core empty;
    CHECK(empty.told({}).empty());
    CHECK(empty.told({shared(record("a:latest", 'a'))}) == Strings{"installed a:latest"});
}

TEST_CASE("each difference is one event", "[core]") {
    Core core;
    PluginRecord plugin = record("a:latest", 'a');
    const PluginRecordPtr other = shared(record("b:latest", 'b'));
    PluginRecordPtr now = shared(plugin);
    CHECK(core.told({other}).empty());
    CHECK(core.told({now, other}) == Strings{"installed a:latest"});
    CHECK(core.events[0].kind == "managed");
    CHECK(core.events[0].implements == Strings{"VolumeDriver"});
    CHECK(core.events[0].detail == "from docker.io/a:latest");
    CHECK(core.told({now, other}).empty());

    plugin.enabled = true;
    CHECK(core.told({now = shared(plugin), other}) == Strings{"enabled a:latest"});
    plugin.enabled = false;
    CHECK(core.told({now = shared(plugin), other}) == Strings{"disabled a:latest"});
    plugin.settings.env = NullableList<std::string>{Strings{"A=2"}};
    CHECK(core.told({now = shared(plugin), other}) == Strings{"set a:latest"});
    plugin.manifest_digest = *Digest::from_hex(std::string(64, 'd'));
    CHECK(core.told({now = shared(plugin), other}) == Strings{"upgraded a:latest"});
    CHECK(core.told({other}) == Strings{"removed a:latest"});
}

TEST_CASE("several differences at once are all told", "[core]") {
    Core core;
    PluginRecord enabled = record("b:latest", 'b');
    CHECK(core.told({shared(record("a:latest", 'a')), shared(enabled)}).empty());
    enabled.enabled = true;
    CHECK(core.told({shared(enabled), shared(record("c:latest", 'c'))}) ==
          Strings{"removed a:latest", "enabled b:latest", "installed c:latest"});
}

TEST_CASE("an installed plugin is shown with what the operator asked for", "[core]") {
    Core core;
    PluginRecord plugin = record("me/p:1", 'a');
    plugin.enabled = true;
    plugin.updated = std::chrono::sys_seconds{std::chrono::seconds{1'700'000'000}};
    core.plugins.apply({shared(plugin), shared(record("a:latest", 'b'))});
    const auto views = core.plugins.list();
    REQUIRE(views.size() == 2);
    CHECK(views[0].name == "a:latest");
    CHECK(views[0].state == "disabled");
    CHECK(views[0].enabled == false);
    const PluginView& view = views[1];
    CHECK(view.name == "me/p:1");
    CHECK(view.kind == "managed");
    CHECK(view.state == "disabled");
    CHECK(view.enabled == true);
    CHECK(view.implements == Strings{"VolumeDriver"});
    CHECK(view.definition == "/state/plugins/" + plugin.id);
    CHECK(view.id == plugin.id);
    CHECK(view.reference == "docker.io/me/p:1");
    CHECK(view.description == "made for a test");
    CHECK(view.reason.empty());
    CHECK(view.since == plugin.updated);
    CHECK(view.endpoint.empty());
}

TEST_CASE("capabilities are called as engines call them; other prefixes are none of theirs", "[core]") {
    auto config = PluginConfig::parse(R"({"entrypoint":["/p"],"interface":{"socket":"p.sock","types":[
        "docker.volumedriver/1.0","docker.authz/1.0","docker.unheard/1.0","moby.logdriver/1.0"]}})");
    REQUIRE(config);
    PluginRecord plugin = record("p:latest", 'a');
    plugin.config = std::make_shared<const PluginConfig>(*std::move(config));
    Core core;
    core.plugins.apply({shared(plugin)});
    CHECK(core.plugins.list()[0].implements == Strings{"VolumeDriver", "authz", "unheard"});
}

TEST_CASE("an installed plugin is found by name, tag and ID", "[core]") {
    Core core;
    core.plugins.apply({shared(record("me/p:latest", 'a')), shared(record("me/p:1", 'b'))});
    const auto found = [&](const std::string& name) {
        const auto view = core.plugins.find(name);
        return view ? view->id.substr(0, 1) : "";
    };
    CHECK(found("me/p") == "a");
    CHECK(found("me/p:latest") == "a");
    CHECK(found("me/p:1") == "b");
    CHECK(found(std::string(64, 'b')) == "b");
    for (const std::string& name : {std::string{"p"}, std::string{"me/p:2"}, std::string{}, std::string(64, 'c')}) {
        CHECK(found(name).empty());
    }
}

TEST_CASE("a plugin that cannot run as it lies on disk is shown so, and what to do", "[core]") {
    Core core;
    PluginRecord broken = record("p:latest", 'a');
    broken.broken = "its rootfs is missing";
    core.plugins.apply({shared(broken), shared(record("q:latest", 'b'))});
    CHECK(core.plugins.find("p")->reason == "its rootfs is missing");
    const auto findings = core.plugins.doctor();
    REQUIRE(findings.size() == 1);
    CHECK(findings[0].plugin == "p:latest");
    CHECK(findings[0].severity == "error");
    CHECK(findings[0].cause == "its rootfs is missing");
    CHECK_THAT(findings[0].remedy, Catch::Contains("pluginctl rm p:latest"));
}
