#include "common/endpoint.h"

#include <catch2/catch.hpp>

using namespace brokerd;

TEST_CASE("the four schemes are endpoints", "[common]") {
    CHECK(Endpoint::parse("unix:///run/x.sock")->path() == "/run/x.sock");
    CHECK(Endpoint::parse("tcp://localhost:8080")->port() == 8080);
    CHECK(Endpoint::parse("tcp://192.168.1.1:8080")->host() == "192.168.1.1");
    CHECK(Endpoint::parse("http://plugin.example")->port() == 80);
    CHECK(Endpoint::parse("https://plugin.example")->port() == 443);
    CHECK(Endpoint::parse("tcp://[::1]:99")->host() == "::1");
    CHECK(Endpoint::parse("tcp://[::1]:99")->str() == "tcp://[::1]:99");
    CHECK(Endpoint::parse("https://h:1/")->str() == "https://h:1");
}

TEST_CASE("https is TLS by itself, tcp only when told", "[common]") {
    CHECK(Endpoint::parse("https://h")->tls());
    auto endpoint = *Endpoint::parse("tcp://h:1");
    CHECK_FALSE(endpoint.tls());
    endpoint.use_tls({});
    CHECK(endpoint.tls());
}

TEST_CASE("a malformed address is refused with the reason", "[common]") {
    const std::string long_path = "unix:///" + std::string(107, 'x');
    for (const std::string url : {"",
                                  "mobyfs",
                                  "/run/x.sock",
                                  "unix://",
                                  "unix://x.sock",
                                  "unix:///",
                                  "unix:///run/",
                                  "tcp://",
                                  "tcp://h",
                                  "tcp://:80",
                                  "tcp://h:",
                                  "tcp://h:0",
                                  "tcp://h:65536",
                                  "tcp://h:80x",
                                  "tcp://h:-1",
                                  "tcp://h:8 0",
                                  "tcp://h:80/path",
                                  "tcp://h:80?x",
                                  "tcp://h:80#x",
                                  "tcp://u@h:80",
                                  "tcp://::1:80",
                                  "tcp://[::1:80",
                                  "tcp://[::1]80",
                                  "tcp://[nonsense]:80",
                                  "tcp://[]:80",
                                  "ftp://h:1",
                                  "TCP://h:1",
                                  "https:// 192.168.1.1:8080",
                                  "tcp://h\x01:1",
                                  "tcp://h\xc3\xa4:1",
                                  "tcp://h_:99999"}) {
        INFO(url);
        const auto endpoint = Endpoint::parse(url);
        REQUIRE_FALSE(endpoint);
        CHECK(endpoint.error().message.find("is not a plugin address: ") != std::string::npos);
    }
    CHECK_FALSE(Endpoint::parse(long_path));
}
