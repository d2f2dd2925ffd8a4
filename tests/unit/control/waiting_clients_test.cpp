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
    clients.wait_for(1, 0, Kind::resting, kStart);
    CHECK(clients.due() == kStart + 3s);
    clients.wait_for(2, 0, Kind::owing, kStart + 1s);
    clients.wait_for(3, 0, Kind::owing, kStart + 1500ms);
    CHECK(clients.due() == kStart + 2s);
    CHECK_FALSE(clients.first(kStart + 1999ms));
    CHECK(clients.first(kStart + 2s) == 2);
    CHECK(clients.first(kStart + 1h) == 2);
    clients.forget(2);
    CHECK(clients.first(kStart + 1h) == 3);
    clients.wait_for(3, 0, Kind::resting, kStart + 2s);
    CHECK(clients.first(kStart + 1h) == 1);
    clients.wait_for(1, 0, Kind::resting, kStart + 3s);
    CHECK(clients.first(kStart + 1h) == 3);
    clients.forget(3);
    clients.forget(3);
    clients.forget(1);
    CHECK(clients.empty());
    CHECK_FALSE(clients.first(kStart + 1h));
}

TEST_CASE("where one user has more clients than all others, it is one of those that goes", "[control]") {
    WaitingClients clients{1s, 3s};
    clients.wait_for(1, 1000, Kind::resting, kStart);
    for (WaitingClients::Id id = 2; id < 5; ++id) clients.wait_for(id, 1001, Kind::resting, kStart + 1s);
    CHECK(clients.first(kStart + 2s) == 2);  // its time is cut short, and the other's is over later
    CHECK(clients.first(kStart + 10s) == 2);
    CHECK_FALSE(clients.first(kStart + 1s));  // none of them has been waited for yet
    clients.wait_for(2, 1001, Kind::resting, kStart + 2s);
    CHECK(clients.first(kStart + 2s) == 3);
    clients.wait_for(5, 1001, Kind::owing, kStart + 2s);
    CHECK(clients.first(kStart + 2500ms) == 3);
    CHECK(clients.first(kStart + 3s) == 5);  // it owes something, and its time is over
    clients.forget(5);
    clients.forget(3);
    clients.forget(4);
    CHECK_FALSE(clients.first(kStart + 2999ms));  // one each: times hold again
    CHECK(clients.first(kStart + 3s) == 1);
    clients.wait_for(6, 1002, Kind::owing, kStart);
    CHECK(clients.first(kStart + 3s) == 6);
    for (const WaitingClients::Id id : {1U, 2U, 6U}) clients.forget(id);
    CHECK(clients.empty());
}
