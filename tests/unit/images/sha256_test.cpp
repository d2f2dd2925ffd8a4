#include "daemon/images/sha256.h"

#include <catch2/catch.hpp>
#include <string>

using namespace brokerd;

TEST_CASE("SHA-256 of FIPS 180-4's own examples", "[images]") {
    CHECK(Sha256::of("").hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(Sha256::of("abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(Sha256::of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq").hex() ==
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST_CASE("bytes in pieces give the digest of the whole", "[images]") {
    const std::string bytes(100'000, 'x');
    Sha256 hash;
    for (std::size_t start = 0, size = 1; start < bytes.size(); start += size, size = size * 2 + 1)
        hash.update(std::string_view{bytes}.substr(start, size));
    CHECK(hash.finish() == Sha256::of(bytes));
}

TEST_CASE("a hash begins anew after finish and restart", "[images]") {
    Sha256 hash;
    hash.update("something else");
    hash.restart();
    hash.update("abc");
    CHECK(hash.finish() == Sha256::of("abc"));
    CHECK(hash.finish() == Sha256::of(""));
}
