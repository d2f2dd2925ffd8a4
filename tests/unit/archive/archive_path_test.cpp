#include "daemon/archive/archive_path.h"

#include <catch2/catch.hpp>

#include "daemon/archive/refused.h"

using namespace brokerd;

TEST_CASE("names in archives lose what is no part of a path", "[archive]") {
    const ArchiveLimits limits;
    const auto place = [&](const char* text) {
        const ArchivePath path = parse_archive_path(text, limits);
        return path.parent + "|" + path.name;
    };
    CHECK(place("a") == "|a");
    CHECK(place("./a/b/c") == "a/b|c");
    CHECK(place("//a/./b/") == "a|b");
    CHECK(place("...") == "|...");
    CHECK(parse_archive_path("./", limits).is_root());
    CHECK(parse_archive_path("/", limits).is_root());
}

TEST_CASE("names that lead out, or are too long or too deep, are refused", "[archive]") {
    ArchiveLimits limits;
    limits.path_bytes = 20;
    limits.name_bytes = 5;
    limits.depth = 3;
    const auto refused = [&](const char* text) { CHECK_THROWS_AS(parse_archive_path(text, limits), EntryRefused); };
    refused(nullptr);
    refused("");
    refused("..");
    refused("a/../b");
    refused("a/b/..");
    refused("sixsix");
    refused("a/b/c/d");
    refused("./././././././././././");
    CHECK(parse_archive_path("a/b/c", limits).str() == "a/b/c");
    CHECK(parse_archive_path("fives/fives/fives", limits).str() == "fives/fives/fives");
}
