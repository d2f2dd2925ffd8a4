#include "cli/output/printable.h"

#include <catch2/catch.hpp>

#include "cli/output/table.h"

namespace brokerd::cli {
namespace {

TEST_CASE("a terminal obeys nothing that came from outside", "[cli]") {
    CHECK(printable("plain ~ \\ text") == "plain ~ \\ text");
    CHECK(printable("a\x1b[31mb\n\t\r\x7f") == "a\\x1b[31mb\\x0a\\x09\\x0d\\x7f");
    CHECK(printable("caf\xc3\xa9 \xe2\x86\x92 \xf0\x9f\x90\xb3") == "caf\xc3\xa9 \xe2\x86\x92 \xf0\x9f\x90\xb3");
    CHECK(printable("\xc2\x9b"
                    "31m") == "\\xc2\\x9b31m");  // CSI as one C1 character
    CHECK(printable("\xe2\x80\xae"
                    "gpj") == "\\xe2\\x80\\xaegpj");  // right-to-left override
    CHECK(printable(std::string_view{"a\0b", 3}) == "a\\x00b");
    CHECK(printable_lines("a\n\tb\x1b") == "a\n\tb\\x1b");
}

TEST_CASE("bytes that are not UTF-8 are shown as bytes", "[cli]") {
    for (const char* bytes :
         {"\xff", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc3", "\xe2\x86", "\x9b"}) {
        CAPTURE(bytes);
        const std::string shown = printable(bytes);
        CHECK(shown.find_first_not_of("\\x0123456789abcdef") == std::string::npos);
        CHECK(shown.size() == 4 * std::string_view{bytes}.size());
    }
}

TEST_CASE("JSON keeps its meaning and loses its controls", "[cli]") {
    CHECK(printable_json("{\"a\":\"\xc2\x9b\x7f\xc3\xa9\"}") == "{\"a\":\"\\u009b\\u007f\xc3\xa9\"}");
    CHECK(indented_json(R"({"a":[1.50,1e40],"b":{},"c":"\u001b"})") ==
          "{\n    \"a\": [\n        1.50,\n        1e40\n    ],\n    \"b\": {},\n    \"c\": \"\\u001B\"\n}");
}

TEST_CASE("what is not JSON or too deep is not indented", "[cli]") {
    CHECK(indented_json("").empty());
    CHECK(indented_json("{").empty());
    CHECK(indented_json("\"\xff\"").empty());
    CHECK(indented_json(std::string(1'000'000, '[')).empty());
    CHECK(indented_json(std::string(1000, '[') + std::string(1000, ']')).empty());
    CHECK_FALSE(indented_json(std::string(100, '[') + std::string(100, ']')).empty());
}

TEST_CASE("long text is cut at a character, not at a byte", "[cli]") {
    CHECK(shortened("abcdef", 6) == "abcdef");
    CHECK(shortened("abcdefg", 6) == "abcde…");
    CHECK(shortened("ééééééé", 6) == "ééééé…");
    CHECK(width("é→x") == 3);
}

TEST_CASE("columns are aligned, and nothing hangs over the last", "[cli]") {
    CHECK(aligned({{"NAME", "X"}, {"é", "long"}, {"longer", ""}}) == "NAME     X\né        long\nlonger   \n");
    CHECK(aligned({}).empty());
    CHECK(cells("a\t\tb") == std::vector<std::string>{"a", "", "b"});
}

}  // namespace
}  // namespace brokerd::cli
