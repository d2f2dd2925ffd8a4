#include "common/manifest.h"

#include <catch2/catch.hpp>

using namespace brokerd;

TEST_CASE("the handshake's three answers in Docker's documentation are manifests", "[common]") {
    for (const std::string capability : {"VolumeDriver", "NetworkDriver", "authz"}) {
        const auto manifest = Manifest::parse(R"({"Implements": [")" + capability + "\"]}");
        REQUIRE(manifest);
        CHECK(manifest->implements(capability));
        CHECK(manifest->to_json() == R"({"Implements":[")" + capability + "\"]}");
    }
}

TEST_CASE("an unknown capability is kept beside a known one", "[common]") {
    const auto manifest = Manifest::parse(R"({"Implements": ["VolumeDriver", "Future", "VolumeDriver"]})");
    REQUIRE(manifest);
    CHECK(manifest->capabilities() == std::vector<std::string>{"VolumeDriver", "Future"});
}

TEST_CASE("any other answer is rejected with its reason", "[common]") {
    const auto reason = [](std::string_view body) { return Manifest::parse(body).error().message; };
    CHECK(reason("").find("not JSON") != std::string::npos);
    CHECK(reason("[]").find("not a JSON object") != std::string::npos);
    CHECK(reason("{}").find("no \"Implements\"") != std::string::npos);
    CHECK(reason(R"({"Implements": "VolumeDriver"})").find("not a list") != std::string::npos);
    CHECK(reason(R"({"Implements": []})").find("empty") != std::string::npos);
    CHECK(reason(R"({"Implements": [1]})").find("not a string") != std::string::npos);
    CHECK(reason(R"({"Implements": ["Future"]})").find("Future") != std::string::npos);
    CHECK(reason(R"({"Implements": ["VolumeDriver"],})").find("not JSON") != std::string::npos);
    CHECK(reason(std::string(kMaxManifestBytes + 1, ' ')).find("longer") != std::string::npos);
    std::string list = R"("VolumeDriver")";
    for (int i = 1; i < 64; ++i) list += R"(,"VolumeDriver")";
    CHECK(Manifest::parse(R"({"Implements": [)" + list + "]}"));
    CHECK(reason(R"({"Implements": [)" + list + R"(,"VolumeDriver"]})").find("more than 64") != std::string::npos);
}
