#include "daemon/control/waiting_clients.h"

#include <catch2/catch.hpp>

using namespace brokerd;
using namespace std::chrono_literals;

namespace {

using Kind = WaitingClients::Kind;
const WaitingClients::Clock::time_point kStart{1h};

}  // namespace

TEST_CASE("who owes something goes before who rests, the longest first, and nobody before its time", "[control]") {
    WaitingClients clients{1s, 3s};
    CHECK(clients.empty());
    CHECK_FALSE(clients.first(kStart));
    CHECK_FALSE(clients.due());
    clients.wait_for(1, Kind::resting, kStart);
    CHECK(clients.due() == kStart + 3s);
    clients.wait_for(2, Kind::owing, kStart + 1s);
    clients.wait_for(3, Kind::owing, kStart + 1500ms);
    CHECK(clients.due() == kStart + 2s);
    CHECK_FALSE(clients.first(kStart + 1999ms));
    CHECK(clients.first(kStart + 2s) == 2);
    CHECK(clients.first(kStart + 1h) == 2);
    clients.forget(2);
    CHECK(clients.first(kStart + 1h) == 3);
    clients.wait_for(3, Kind::resting, kStart + 2s);
    CHECK(clients.first(kStart + 1h) == 1);
    clients.wait_for(1, Kind::resting, kStart + 3s);
    CHECK(clients.first(kStart + 1h) == 3);
    clients.forget(3);
    clients.forget(3);
    clients.forget(1);
    CHECK(clients.empty());
    CHECK_FALSE(clients.first(kStart + 1h));
}
