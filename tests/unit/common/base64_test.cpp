#include "common/base64.h"

#include <catch2/catch.hpp>
#include <string>
#include <utility>

namespace brokerd {
namespace {

TEST_CASE("base64 as RFC 4648 has it", "[common]") {
    // RFC 4648 10.
    const std::pair<const char*, const char*> cases[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
    for (const auto& [plain, packed] : cases) {
        CHECK(base64_encoded(plain) == packed);
        CHECK(base64_decoded(packed) == plain);
    }
    std::string all;
    for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
    for (std::size_t size = 250; size <= all.size(); ++size) {
        const std::string text = all.substr(0, size);
        CHECK(base64_decoded(base64_encoded(text)) == text);
        CHECK(base64_decoded(base64url_encoded(text)) == text);
    }
}

TEST_CASE("both alphabets are read, with and without padding", "[common]") {
    CHECK(base64url_encoded("\xff\xfe?>") == "__4_Pg==");
    for (const char* text : {"__4_Pg==", "__4_Pg", "//4/Pg==", "//4/Pg", "_/4_Pg"}) {
        CHECK(base64_decoded(text) == "\xff\xfe?>");
    }
}

TEST_CASE("what no encoder writes is refused", "[common]") {
    for (const char* text :
         {"Z", "Zg=", "Z===", "====", "Zg==Zg==", "Z g=", "Zm9v\n", "Zh==", "Zm9v=", "Zg===", "\xc3\xa9=="}) {
        CAPTURE(text);
        CHECK_FALSE(base64_decoded(text));
    }
}

}  // namespace
}  // namespace brokerd
