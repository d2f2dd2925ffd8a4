#include "common/plugin_limits.h"

#include <catch2/catch.hpp>

using namespace brokerd;

namespace {

Result<LimitsChange> read(const char* json) {
    return read_limits(*parse_json(json));
}

}  // namespace

TEST_CASE("limits are written as they are read", "[common]") {
    const PluginLimits limits{kLeastMemory, kLeastNanoCpus, 100};
    const std::string text = json_text([&](JsonWriter& writer) { write_limits(writer, limits); });
    CHECK(text == R"({"Memory":6291456,"NanoCpus":10000000,"Pids":100})");
    CHECK(read(text.c_str())->applied_to({}) == limits);
    CHECK(json_text([](JsonWriter& writer) { write_limits(writer, {}); }) == "{}");
    CHECK(PluginLimits{}.none());
    CHECK_FALSE(limits.none());
}

TEST_CASE("a change of limits leaves alone what it does not name, and 0 removes", "[common]") {
    const PluginLimits before{64U << 20, 500'000'000, 100};
    CHECK(read("{}")->none());
    CHECK(read(R"({"Other":"x","Pids":null})")->applied_to(before) == before);
    const auto change = read(R"({"Memory":0,"Pids":7})");
    REQUIRE(change);
    CHECK(change->applied_to(before) == PluginLimits{0, 500'000'000, 7});
    const std::string text = json_text([&](JsonWriter& writer) {
        writer.StartObject();
        write_members(writer, *change);
        writer.EndObject();
    });
    CHECK(text == R"({"Memory":0,"Pids":7})");
}

TEST_CASE("limits that are no whole numbers are refused by name", "[common]") {
    for (const char* wrong : {R"({"Pids":-1})", R"({"Pids":1.5})", R"({"Pids":"1"})", R"({"Pids":[]})",
                              R"({"Pids":99999999999999999999})"}) {
        CAPTURE(wrong);
        const auto change = read(wrong);
        REQUIRE_FALSE(change);
        CHECK_THAT(change.error().message, Catch::Contains("Pids must be a whole number"));
    }
    CHECK_FALSE(read("[]"));
}

TEST_CASE("limits that no host can keep are a fault", "[common]") {
    CHECK(limits_fault({}).empty());
    CHECK(limits_fault({kLeastMemory, kLeastNanoCpus, 1}).empty());
    CHECK(limits_fault({kMostMemory, kMostNanoCpus, kMostPids}).empty());
    CHECK_THAT(limits_fault({kLeastMemory - 1, 0, 0}), Catch::Contains("at least 6 MiB"));
    CHECK_THAT(limits_fault({0, kLeastNanoCpus - 1, 0}), Catch::Contains("0.01 processors"));
    CHECK_THAT(limits_fault({kMostMemory + 1, 0, 0}), Catch::Contains("beyond any host"));
    CHECK_THAT(limits_fault({0, 0, kMostPids + 1}), Catch::Contains("beyond any host"));
}
