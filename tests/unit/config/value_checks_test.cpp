#include "daemon/config/value_checks.h"

#include <catch2/catch.hpp>

#include "daemon/config/config.h"

using namespace brokerd;

TEST_CASE("a registry is a host or a network", "[config]") {
    for (const char* good : {"registry.example", "registry.example:5000", "10.0.0.1:5000", "10.0.0.0/8", "[::1]:5000",
                             "[fd00::1]", "fd00::/8", "Registry_1"}) {
        INFO(good);
        CHECK(check_registry(good).empty());
    }
    for (const char* bad : {"", "http://x", "10.0.0.0/99", "10.0.0/8", "10.0.0.0/", "10.0.0.0/-1", "x/y",
                            "x:", "x:70000", "x y", ":5000", "[::1", "[x]:1", "fd00::/129", "user@x", "x\n"}) {
        INFO(bad);
        CHECK_FALSE(check_registry(bad).empty());
    }
}

TEST_CASE("a mirror is a URL of a host", "[config]") {
    for (const char* good :
         {"http://mirror.test", "https://mirror.test:5000", "https://mirror.test/", "http://[::1]:80"}) {
        INFO(good);
        CHECK(check_mirror(good).empty());
    }
    for (const char* bad : {"", "nonsense", "mirror.test", "ftp://mirror.test", "http://", "https:///", "http://a b",
                            "https://user:secret@mirror.test", "https://mirror.test:x"}) {
        INFO(bad);
        CHECK_FALSE(check_mirror(bad).empty());
    }
}

TEST_CASE("a value that cannot be right is refused, and named", "[config]") {
    for (const std::vector<const char*>& wrong : {std::vector<const char*>{"--registry-mirror", "nonsense"},
                                                  {"--insecure-registry", "http://x"},
                                                  {"--oci-runtime", ""},
                                                  {"--group", ""}}) {
        std::vector<const char*> arguments{"brokerd", "--config", "/dev/null"};
        arguments.insert(arguments.end(), wrong.begin(), wrong.end());
        const auto loaded = load_config(static_cast<int>(arguments.size()), arguments.data());
        INFO(wrong[0]);
        REQUIRE(std::holds_alternative<EarlyExit>(loaded));
        CHECK_THAT(std::get<EarlyExit>(loaded).reason, Catch::Contains(wrong[0]));
    }
}
