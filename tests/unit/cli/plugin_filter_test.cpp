#include "cli/plugin_filter.h"

#include <catch2/catch.hpp>

#include "cli/plugin_fields.h"

namespace brokerd::cli {
namespace {

bool matches(const std::vector<std::string>& terms) {
    PluginView plugin;
    plugin.name = "vieux/sshfs:latest";
    plugin.state = "failed";
    plugin.implements = {"VolumeDriver", "NetworkDriver"};
    const auto filter = PluginFilter::parse(terms);
    REQUIRE(filter);
    return filter->matches(plugin);
}

TEST_CASE("values of one key are alternatives, keys add up", "[cli]") {
    CHECK(matches({}));
    CHECK(matches({"state=failed"}));
    CHECK_FALSE(matches({"state=active"}));
    CHECK(matches({"state=active", "state=failed"}));
    CHECK_FALSE(matches({"state=failed", "kind=managed"}));
    CHECK(matches({"name=sshfs", "kind=legacy"}));
    CHECK_FALSE(matches({"name=nfs"}));
}

TEST_CASE("a plugin with two capabilities is found by either", "[cli]") {
    CHECK(matches({"capability=VolumeDriver"}));
    CHECK(matches({"capability=networkdriver"}));
    CHECK_FALSE(matches({"capability=Volume"}));
}

TEST_CASE("a filter that nothing can satisfy is a slip", "[cli]") {
    for (const char* term : {"state", "state=", "=x", "state=runing", "kind=new", "color=red", ""}) {
        CAPTURE(term);
        CHECK_FALSE(PluginFilter::parse(std::vector<std::string>{term}));
    }
}

TEST_CASE("a status says how far and why", "[cli]") {
    PluginView plugin;
    plugin.attempts = 3;
    plugin.reason = "connection refused";
    const auto status = [&](const char* state) {
        plugin.state = state;
        return status_text(plugin);
    };
    CHECK(status("active") == "active");
    CHECK(status("activating") == "activating (attempt 3)");
    CHECK(status("failed") == "failed: connection refused");
    CHECK(status("invalid") == "invalid: connection refused");
    CHECK(status("discovered") == "discovered");
    plugin.reason.clear();
    plugin.attempts = 0;
    CHECK(status("failed") == "failed");
    CHECK(status("activating") == "activating");
}

}  // namespace
}  // namespace brokerd::cli
