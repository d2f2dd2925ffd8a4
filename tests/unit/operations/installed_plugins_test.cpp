#include "daemon/operations/installed_plugins.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <stdexcept>

#include "tests/unit/managed/store_fixture.h"

using namespace brokerd;
using namespace brokerd::test;

namespace {

using Names = std::vector<std::string>;

/// What the listener was told, one entry a change.
struct Told {
    std::vector<Names> changes;

    [[nodiscard]] InstalledPlugins::Listener listener() {
        return [this](const std::vector<PluginRecordPtr>& records) {
            Names names;
            for (const PluginRecordPtr& record : records) names.push_back(record->name);
            changes.push_back(std::move(names));
        };
    }
};

Result<PluginRecordPtr, StoreError> add(PluginStore& store, const std::string& name) {
    return store.install(make_staged(store, name), make_record(name));
}

}  // namespace

TEST_CASE("a change is told before whoever made it hears of it", "[operations]") {
    const StateRoot root;
    Told told;
    InstalledPlugins plugins{open_store(root.path()), told.listener()};
    REQUIRE(plugins.change([](PluginStore& store) { return add(store, "b:latest"); }));
    CHECK(told.changes == std::vector<Names>{Names{"b:latest"}});
    REQUIRE(plugins.change([](PluginStore& store) { return add(store, "a:latest"); }));
    CHECK(told.changes.back() == Names{"a:latest", "b:latest"});
    CHECK(plugins.read([](const PluginStore& store) { return store.records().size(); }) == 2);
    CHECK(told.changes.size() == 2);  // reading tells nobody
}

TEST_CASE("a refused change reaches its caller, and the store is as before", "[operations]") {
    const StateRoot root;
    Told told;
    InstalledPlugins plugins{open_store(root.path()), told.listener()};
    REQUIRE(plugins.change([](PluginStore& store) { return add(store, "a:latest"); }));
    const auto again = plugins.change([](PluginStore& store) { return add(store, "a:latest"); });
    REQUIRE_FALSE(again);
    CHECK(again.error().kind == StoreError::Kind::already_exists);
    CHECK(told.changes.back() == Names{"a:latest"});
}

TEST_CASE("what work throws reaches who asked, and nobody else", "[operations]") {
    const StateRoot root;
    Told told;
    InstalledPlugins plugins{open_store(root.path()), told.listener()};
    CHECK_THROWS_WITH(plugins.change([](PluginStore&) -> int { throw std::runtime_error{"changing failed"}; }),
                      "changing failed");
    CHECK_THROWS_WITH(plugins.read([](const PluginStore&) -> int { throw std::runtime_error{"reading failed"}; }),
                      "reading failed");
    plugins.post([](const PluginStore&) { throw std::runtime_error{"nobody waits for this"}; });
    CHECK(plugins.read([](const PluginStore& store) { return store.records().empty(); }));
    REQUIRE(plugins.change([](PluginStore& store) { return add(store, "a:latest"); }));
}

TEST_CASE("changes by hand are taken over when asked to", "[operations]") {
    const StateRoot root;
    Told told;
    InstalledPlugins plugins{open_store(root.path()), told.listener()};
    REQUIRE(plugins.change([](PluginStore& store) { return add(store, "a:latest"); }));
    std::string inventory = read_file(root.plugins("plugins.json"));
    const std::string tag = "\"latest\"";
    const std::size_t at = inventory.find(tag);
    REQUIRE(at != inventory.npos);
    write_file(root.plugins("plugins.json"), inventory.replace(at, tag.size(), "\"edge\""));
    plugins.reload();
    CHECK(plugins.read([](const PluginStore& store) { return store.find_name("a:edge") != nullptr; }));
    CHECK(told.changes.back() == Names{"a:edge"});
}

TEST_CASE("what has been asked for is finished at the end", "[operations]") {
    const StateRoot root;
    std::atomic<int> done{0};
    {
        InstalledPlugins plugins{open_store(root.path()), [](const auto&) {}};
        for (int i = 0; i < 100; ++i) plugins.post([&](const PluginStore&) { ++done; });
    }
    CHECK(done == 100);
}

TEST_CASE("many threads may ask at once, and each gets its own answer", "[operations]") {
    const StateRoot root;
    InstalledPlugins plugins{open_store(root.path()), [](const auto&) {}};
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int number = 0; number < 8; ++number) {
        threads.emplace_back([&, number] {
            const std::string name = "p" + std::to_string(number) + ":latest";
            if (!plugins.change([&](PluginStore& store) { return add(store, name); })) ++wrong;
            for (int i = 0; i < 50; ++i) {
                if (plugins.read([&](const PluginStore& store) { return store.find_name(name)->name; }) != name)
                    ++wrong;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(wrong == 0);
    CHECK(plugins.read([](const PluginStore& store) { return store.records().size(); }) == 8);
}

TEST_CASE("a plugin has one operation at a time", "[operations]") {
    PluginClaims claims;
    {
        const auto first = claims.claim("a", "sshfs:latest");
        REQUIRE(first);
        const auto second = claims.claim("a", "sshfs:latest");
        REQUIRE_FALSE(second);
        CHECK(second.error().kind == OperationError::Kind::conflict);
        CHECK_THAT(second.error().message, Catch::Contains("another operation is working on plugin \"sshfs:latest\""));
        CHECK(claims.claim("b", "other:latest"));
        CHECK_FALSE(claims.claim("a", "sshfs:latest"));  // a refused claim lets go of nothing
    }
    CHECK(claims.claim("a", "sshfs:latest"));
}

TEST_CASE("a claim that moves ends once, with its last owner", "[operations]") {
    PluginClaims claims;
    auto claim = claims.claim("a", "a");
    REQUIRE(claim);
    {
        const PluginClaims::Claim moved = *std::move(claim);
        CHECK_FALSE(claims.claim("a", "a"));
    }
    CHECK(claims.claim("a", "a"));
}

TEST_CASE("of many threads one has the claim", "[operations]") {
    PluginClaims claims;
    std::atomic<int> inside{0};
    std::atomic<bool> shared{false};
    std::vector<std::thread> threads;
    for (int number = 0; number < 4; ++number) {
        threads.emplace_back([&] {
            for (int taken = 0; taken < 100;) {
                const auto claim = claims.claim("a", "a");
                if (!claim) {
                    std::this_thread::yield();
                    continue;
                }
                if (++inside != 1) shared = true;
                --inside;
                ++taken;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK_FALSE(shared);
}
