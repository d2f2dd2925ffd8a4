#include "common/duration_text.h"

#include <catch2/catch.hpp>

using namespace brokerd;
using namespace std::chrono_literals;

TEST_CASE("a duration is told in the unit that a person would choose", "[common]") {
    CHECK(duration_text(200ms) == "0.2 s");
    CHECK(duration_text(9'600ms) == "9.6 s");
    CHECK(duration_text(34s) == "34 s");
    CHECK(duration_text(119s) == "119 s");
    CHECK(duration_text(120s) == "2 min");
    CHECK(duration_text(119min) == "119 min");
    CHECK(duration_text(3h) == "3 h");
    CHECK(duration_text(47h) == "47 h");
    CHECK(duration_text(12 * 24h) == "12 days");
}
