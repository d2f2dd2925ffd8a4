#include "daemon/core/leases.h"

#include <catch2/catch.hpp>

using namespace brokerd;

namespace {

LeaseHolder holder(int pid, std::string command) {
    return {pid, std::move(command), {}};
}

Leases::Lease taken(Leases& leases, const std::string& plugin, LeaseHolder by) {
    auto lease = leases.take(plugin, std::move(by));
    REQUIRE(lease);
    return *std::move(lease);
}

}  // namespace

TEST_CASE("a lease is held until it is destroyed", "[core]") {
    Leases leases;
    CHECK(leases.holders("mobyfs").empty());
    {
        const auto first = taken(leases, "mobyfs", holder(1, "dockerd"));
        {
            const auto second = taken(leases, "mobyfs", holder(2, "podman"));
            const auto other = taken(leases, "vieux/sshfs:latest", holder(3, "dockerd"));
            REQUIRE(leases.holders("mobyfs").size() == 2);
            CHECK(leases.holders("mobyfs")[0].pid == 1);
            CHECK(leases.holders("mobyfs")[1].command == "podman");
            CHECK(leases.holders("vieux/sshfs:latest").size() == 1);
        }
        CHECK(leases.holders("mobyfs").size() == 1);
        CHECK(leases.holders("vieux/sshfs:latest").empty());
    }
    CHECK(leases.holders("mobyfs").empty());
}

TEST_CASE("a lease that was moved is given back once", "[core]") {
    Leases leases;
    auto lease = taken(leases, "mobyfs", holder(1, "dockerd"));
    {
        const Leases::Lease moved = std::move(lease);
        CHECK(leases.holders("mobyfs").size() == 1);
    }
    CHECK(leases.holders("mobyfs").empty());
}

TEST_CASE("a plugin has so many leases and no more", "[core]") {
    Leases leases;
    std::vector<Leases::Lease> held;
    for (std::size_t i = 0; i < Leases::kMaxPerPlugin; ++i) held.push_back(taken(leases, "a", holder(1, "x")));
    const auto refused = leases.take("a", holder(1, "x"));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.find("plugin a has 1024 leases") == 0);
    CHECK(leases.take("b", holder(1, "x")));
    held.pop_back();
    CHECK(leases.take("a", holder(1, "x")));
}

TEST_CASE("a holder in a sentence", "[core]") {
    CHECK(to_text(holder(12, "dockerd")) == "dockerd (pid 12)");
    CHECK(to_text(holder(13, "")) == "a process (pid 13)");
}
