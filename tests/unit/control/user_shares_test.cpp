#include "daemon/control/user_shares.h"

#include <catch2/catch.hpp>

using namespace brokerd;

namespace {

std::size_t take_all(UserShares& shares, uid_t user) {
    while (shares.has_room(user)) shares.take(user);
    return shares.of(user);
}

}  // namespace

TEST_CASE("a user may have as many places as are then left for the others", "[control]") {
    UserShares shares{128, 0};
    CHECK(take_all(shares, 1000) == 64);
    CHECK(take_all(shares, 1001) == 32);
    CHECK(take_all(shares, 1002) == 16);
    CHECK_FALSE(shares.is_full());
    CHECK(take_all(shares, 0) == 16);
    CHECK(shares.is_full());
    CHECK_FALSE(shares.has_room(1003));
    shares.give_back(1000);
    CHECK(shares.has_room(1003));
    CHECK_FALSE(shares.has_room(1000));
}

TEST_CASE("root may have every place, and what is given back can be taken again", "[control]") {
    UserShares shares{5, 0};
    CHECK(take_all(shares, 0) == 5);
    CHECK_FALSE(shares.has_room(1000));
    for (int i = 0; i < 5; ++i) shares.give_back(0);
    CHECK(shares.of(0) == 0);
    CHECK(take_all(shares, 1000) == 3);
}

TEST_CASE("a brokerd that is not root's serves its own user without a share", "[control]") {
    UserShares shares{4, 1000};
    CHECK(take_all(shares, 1000) == 4);
}
