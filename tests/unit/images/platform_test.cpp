#include "daemon/images/platform.h"

#include <catch2/catch.hpp>

using namespace brokerd;

TEST_CASE("machines are called as image indexes call them", "[images]") {
    CHECK(Platform::from_machine("x86_64").str() == "linux/amd64");
    CHECK(Platform::from_machine("aarch64").str() == "linux/arm64");
    CHECK(Platform::from_machine("armv7l").str() == "linux/arm/v7");
    CHECK(Platform::from_machine("armv6l").str() == "linux/arm/v6");
    CHECK(Platform::from_machine("i686").str() == "linux/386");
    CHECK(Platform::from_machine("riscv64").str() == "linux/riscv64");
    CHECK(Platform::from_machine("of-tomorrow").str() == "linux/of-tomorrow");
    CHECK(Platform::of_host().os == "linux");
    CHECK(Platform::of_host().rank(Platform::of_host()) > 0);
}

TEST_CASE("a machine runs its own variant and older ones of 32-bit ARM", "[images]") {
    const Platform arm = Platform::from_machine("armv7l");
    CHECK(arm.rank({"linux", "arm", "v7"}) > arm.rank({"linux", "arm", "v6"}));
    CHECK(arm.rank({"linux", "arm", "v6"}) > arm.rank({"linux", "arm", "v5"}));
    CHECK(arm.rank({"linux", "arm", "v5"}) > 0);
    CHECK(arm.rank({"linux", "arm", ""}) == arm.rank({"linux", "arm", "v7"}));
    CHECK(arm.rank({"linux", "arm", "v8"}) == 0);
    CHECK(arm.rank({"linux", "arm", "garbage"}) == 0);
    CHECK(arm.rank({"linux", "arm64", ""}) == 0);
    CHECK(Platform::from_machine("armv6l").rank({"linux", "arm", "v7"}) == 0);
}

TEST_CASE("the usual variant needs no name, another one must be the machine's", "[images]") {
    const Platform arm64 = Platform::from_machine("aarch64");
    CHECK(arm64.rank({"linux", "arm64", "v8"}) > 0);
    CHECK(arm64.rank({"linux", "aarch64", "8"}) > 0);
    CHECK(arm64.rank({"linux", "arm64", "v9"}) == 0);
    const Platform amd64 = Platform::from_machine("x86_64");
    CHECK(amd64.rank({"linux", "amd64", ""}) > 0);
    CHECK(amd64.rank({"linux", "amd64", "v1"}) > 0);
    CHECK(amd64.rank({"linux", "x86_64", ""}) > 0);
    CHECK(amd64.rank({"linux", "amd64", "v3"}) == 0);
    CHECK(amd64.rank({"windows", "amd64", ""}) == 0);
    CHECK(amd64.rank({"linux", "386", ""}) == 0);
}
