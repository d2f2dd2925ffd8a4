#include "common/enumeration.h"

#include <catch2/catch.hpp>

using brokerd::enumeration;

TEST_CASE("things in a sentence", "[common]") {
    CHECK(enumeration({}).empty());
    CHECK(enumeration({"a"}) == "a");
    CHECK(enumeration({"a", "b"}) == "a and b");
    CHECK(enumeration({"a", "b", "c"}) == "a, b and c");
    CHECK(enumeration({"a", "b", "c"}, 3) == "a, b and c");
    CHECK(enumeration({"a", "b", "c", "d"}, 2) == "a, b and 2 more");
}
