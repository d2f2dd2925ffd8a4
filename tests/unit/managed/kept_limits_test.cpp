#include <catch2/catch.hpp>

#include "tests/unit/managed/store_fixture.h"

using namespace brokerd;
using namespace brokerd::test;

namespace {

constexpr PluginLimits kLimits{64U << 20, 500'000'000, 100};

class NoFiles : public PluginDirectoryFiles {
public:
    std::optional<std::string> read(const std::string& /*id*/, const std::string& /*file*/) override {
        return std::nullopt;
    }
};

}  // namespace

TEST_CASE("limits are kept over a restart, and over a lost inventory", "[managed]") {
    const StateRoot root;
    {
        PluginStore store = open_store(root.path());
        PluginRecord record = *install(store, "p:latest");
        CHECK(record.limits.none());
        record.limits = kLimits;
        REQUIRE(store.update(record));
    }
    CHECK(open_store(root.path()).find_name("p:latest")->limits == kLimits);
    std::filesystem::remove(root.plugins("plugins.json"));
    CHECK(open_store(root.path()).find_name("p:latest")->limits == kLimits);
}

TEST_CASE("an entry without limits has none, one with wrong ones is refused", "[managed]") {
    PluginRecord record = make_record("p:latest");
    record.id = "4d3f";
    NoFiles files;
    const std::string without = entry_bytes(record);
    CHECK(without.find("limits") == std::string::npos);
    REQUIRE(read_entry("4d3f", without, files));
    CHECK(read_entry("4d3f", without, files)->record->limits.none());

    record.limits = kLimits;
    std::string with = entry_bytes(record);
    REQUIRE(read_entry("4d3f", with, files));
    CHECK(read_entry("4d3f", with, files)->record->limits == kLimits);
    const std::string memory = "\"Memory\":67108864";
    REQUIRE(with.find(memory) != std::string::npos);
    with.replace(with.find(memory), memory.size(), "\"Memory\":1");
    const auto wrong = read_entry("4d3f", with, files);
    REQUIRE_FALSE(wrong);
    CHECK_THAT(wrong.error().message, Catch::Contains("its limits are not valid") && Catch::Contains("6 MiB"));
}
