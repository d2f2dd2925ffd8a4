#include "common/digest.h"

#include <array>
#include <catch2/catch.hpp>
#include <unordered_set>

using namespace brokerd;

namespace {

const std::string kHex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

}  // namespace

TEST_CASE("a digest is sha256 and 64 lower-case digits", "[common]") {
    const auto digest = Digest::parse("sha256:" + kHex);
    REQUIRE(digest);
    CHECK(digest->str() == "sha256:" + kHex);
    CHECK(digest->hex() == kHex);
    CHECK(*Digest::from_hex(kHex) == *digest);
}

TEST_CASE("what is not a digest is refused", "[common]") {
    std::string upper = kHex;
    upper.front() = 'E';
    std::string with_zero = "sha256:" + kHex;
    with_zero[20] = '\0';
    for (const std::string& text :
         {std::string{}, std::string{"sha256"}, std::string{"sha256:"}, kHex, "sha256:" + kHex.substr(1),
          "sha256:" + kHex + "0", "sha256:" + upper, "SHA256:" + kHex, " sha256:" + kHex, "sha256:" + kHex + " ",
          "sha256::" + kHex.substr(1), "sha256:" + kHex.substr(1) + "g", "sha256:../" + kHex.substr(3),
          std::string{"md5:d41d8cd98f00b204e9800998ecf8427e"}, std::string(10'000, 'a'), with_zero}) {
        INFO(text);
        const auto digest = Digest::parse(text);
        REQUIRE_FALSE(digest);
        CHECK_THAT(digest.error().message, Catch::Contains("is not a digest; write sha256: and 64 digits"));
        CHECK(digest.error().message.size() < 400);
    }
    CHECK_FALSE(Digest::from_hex("sha256:" + kHex));
    CHECK_FALSE(Digest::from_hex("tmp"));
}

TEST_CASE("an algorithm that brokerd does not verify is named", "[common]") {
    const auto digest = Digest::parse("sha512:" + kHex + kHex);
    REQUIRE_FALSE(digest);
    CHECK_THAT(digest.error().message, Catch::Contains("uses sha512, which brokerd does not verify"));
}

TEST_CASE("digests come from bytes, compare and hash", "[common]") {
    std::array<unsigned char, Digest::kBytes> bytes{};
    const Digest zero = Digest::from_bytes(bytes);
    CHECK(zero.hex() == std::string(64, '0'));
    bytes[0] = 0x0f;
    bytes[31] = 0xa0;
    const Digest other = Digest::from_bytes(bytes);
    CHECK(other.hex() == "0f" + std::string(60, '0') + "a0");
    CHECK(zero < other);
    const std::unordered_set<Digest> set{zero, other, zero};
    CHECK(set.size() == 2);
}
