#include "daemon/operations/import.h"

#include <sys/eventfd.h>

#include <catch2/catch.hpp>
#include <cstdint>

#include "tests/unit/operations/operations_fixture.h"

using namespace brokerd;
using namespace brokerd::test;

namespace {

using Strings = std::vector<std::string>;

/// An engine's plugins directory, as Docker 1.12 wrote it, with the plugins "a" and "b".
void write_engine(const StateRoot& root) {
    std::string list;
    for (const std::string name : {"a", "b"}) {
        const std::string id = name + std::string(12, '0');
        write_file(root.plugins(id + "/rootfs/x"), name);
        write_file(root.plugins(id + "/config.json"), R"({"entrypoint":["/x"],"interface":{"socket":"s"}})");
        write_file(root.plugins(id + "/plugin-settings.json"), "{}");
        list += (list.empty() ? "{\"" : ",\"") + id + R"(":{"plugin":{"Tag":"latest","Name":")" + name + R"(","Id":")" +
                id + "\"}}";
    }
    write_file(root.plugins("plugins.json"), list + "}");
}

}  // namespace

TEST_CASE("each plugin that is imported is told, before anybody else can change it", "[operations]") {
    if (!is_root()) return;
    const StateRoot engine;
    write_engine(engine);
    const Operations host;
    NoProgress silence;
    Strings told;
    const OnDone note = [&](const PluginRecord& plugin) {
        const bool is_held = !host.rooms().claims.claim(plugin.name, plugin.name);
        told.push_back(plugin.name + (is_held ? "" : " too late"));
    };
    const auto imported = import_plugins(host.rooms(), engine.path(), silence, -1, note);
    REQUIRE(imported);
    CHECK(imported->skipped.empty());
    CHECK(told == Strings{"a:latest", "b:latest"});
    const auto again = import_plugins(host.rooms(), engine.path(), silence, -1, note);
    REQUIRE(again);
    CHECK(again->skipped.size() == 2);
    CHECK(told.size() == 2);
}

TEST_CASE("what was imported before an import was given up has been told", "[operations]") {
    if (!is_root()) return;
    const StateRoot engine;
    write_engine(engine);
    const Operations host;
    NoProgress silence;
    Strings told;
    const UniqueFd cancelled{eventfd(0, EFD_CLOEXEC)};
    const OnDone note = [&](const PluginRecord& plugin) {
        told.push_back(plugin.name);
        const std::uint64_t one = 1;
        CHECK(::write(cancelled.get(), &one, sizeof one) == sizeof one);
    };
    const auto imported = import_plugins(host.rooms(), engine.path(), silence, cancelled.get(), note);
    REQUIRE_FALSE(imported);
    CHECK(imported.error().kind == Kind::cancelled);
    CHECK(told == Strings{"a:latest"});
    CHECK(host.find("a:latest") != nullptr);
    CHECK(host.find("b:latest") == nullptr);
}
