#include "daemon/operations/configure.h"

#include <catch2/catch.hpp>

#include "tests/unit/operations/operations_fixture.h"

using namespace brokerd;
using namespace brokerd::test;

namespace {

void check_refused(const OperationResult<PluginRecordPtr>& result, Kind kind, const std::string& message) {
    REQUIRE_FALSE(result);
    CHECK(result.error().kind == kind);
    CHECK_THAT(result.error().message, Catch::Contains(message));
}

}  // namespace

TEST_CASE("limits and settings are changed together", "[operations]") {
    const Operations host;
    host.add("p:latest");
    const auto limited = configure_plugin(host.rooms(), "p", {"DEBUG=1"}, {64U << 20, 500'000'000, std::nullopt});
    REQUIRE(limited);
    CHECK((*limited)->limits == PluginLimits{64U << 20, 500'000'000, 0});
    CHECK((*limited)->settings.env.items().front() == "DEBUG=1");
    const auto changed = configure_plugin(host.rooms(), "p", {}, {0, std::nullopt, 100});
    REQUIRE(changed);
    CHECK((*changed)->limits == PluginLimits{0, 500'000'000, 100});
    CHECK((*changed)->settings == (*limited)->settings);
    CHECK(open_store(host.path()).find_name("p:latest")->limits == (*changed)->limits);
}

TEST_CASE("nothing is changed where a limit or a setting is wrong", "[operations]") {
    const Operations host;
    const PluginRecordPtr before = host.add("p:latest");
    check_refused(configure_plugin(host.rooms(), "p", {"DEBUG=1"}, {1, std::nullopt, std::nullopt}), Kind::invalid,
                  "at least 6 MiB");
    check_refused(configure_plugin(host.rooms(), "p", {"NOTHING=1"}, {64U << 20, std::nullopt, std::nullopt}),
                  Kind::invalid, "not found");
    CHECK(host.find("p:latest") == before);
    check_refused(configure_plugin(host.rooms(), "nobody", {}, {}), Kind::not_found, "not found");
}

TEST_CASE("the limits of an enabled plugin stay", "[operations]") {
    const Operations host;
    host.add("p:latest", true);
    check_refused(configure_plugin(host.rooms(), "p", {}, {64U << 20, std::nullopt, std::nullopt}), Kind::conflict,
                  "cannot set on an active plugin");
}
