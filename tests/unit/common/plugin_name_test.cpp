#include "common/plugin_name.h"

#include <catch2/catch.hpp>

using namespace brokerd;

TEST_CASE("names as engines use them are plugin names", "[common]") {
    for (const std::string name : {"sshfs", "vieux/sshfs", "vieux/sshfs:latest", "a_b-c.d", "x@sha256:0123"}) {
        CHECK(PluginName::parse(name)->str() == name);
    }
    CHECK(PluginName::parse(std::string(PluginName::kMaxBytes, 'x')));
}

TEST_CASE("a name that could leave the directory or hide in it is refused", "[common]") {
    for (const std::string name : {"", "/", "/x", "x/", "a//b", ".", "..", "a/../b", ".hidden", "a/.b", "a b", "a\nb",
                                   "a\x01", "\xc3\xa4", "a\\b"}) {
        INFO(name);
        CHECK_FALSE(PluginName::parse(name));
    }
    CHECK_FALSE(PluginName::parse(std::string(PluginName::kMaxBytes + 1, 'x')));
}

TEST_CASE("escaped text holds printable ASCII only", "[common]") {
    CHECK(escaped("a\nb\\c\xff") == "a\\x0ab\\x5cc\\xff");
    CHECK(escaped("abcdef", 3) == "abc...");
}
