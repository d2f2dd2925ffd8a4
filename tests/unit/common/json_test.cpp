#include "common/json.h"

#include <catch2/catch.hpp>

using namespace brokerd;

TEST_CASE("a syntax error is located by line and column", "[common]") {
    const auto document = parse_json("{\n  \"a\": 1,\n  nonsense\n}");
    REQUIRE_FALSE(document);
    CHECK(document.error().line == 3);
    CHECK(document.error().column == 3);
}

TEST_CASE("a trailing comma is refused unless it is asked for", "[common]") {
    CHECK_FALSE(parse_json(R"({"a": 1,})"));
    CHECK(parse_json(R"({"a": 1,})", TrailingCommas::accepted));
}

TEST_CASE("nothing may follow JSON, and no byte order mark precede it", "[common]") {
    using namespace std::string_view_literals;
    CHECK_FALSE(parse_json("{} x"));
    CHECK_FALSE(parse_json("\xef\xbb\xbf{}"));
    const auto document = parse_json("{}\n\0{}"sv);
    REQUIRE_FALSE(document);
    CHECK(document.error().line == 2);
    CHECK(document.error().column == 1);
    CHECK_FALSE(parse_json("{}\0"sv, TrailingCommas::accepted));
}

TEST_CASE("half of a surrogate pair is no character", "[common]") {
    for (const char* half : {R"("\ud800")", R"("\uDE00")", R"({"a":"\ud83d\ude00\udc00"})", R"("\\\udfff")"}) {
        CAPTURE(half);
        CHECK_FALSE(parse_json(half));
    }
    for (const char* whole : {R"("\ud83d\ude00")", R"("\\udc00")", R"("\uD7FF\uE000\u0dc0")", R"("\\\\udfff")"}) {
        CAPTURE(whole);
        CHECK(parse_json(whole));
    }
    CHECK(parse_json("{\n \"\\udc00\":1}").error().line == 2);
}

TEST_CASE("nesting as deep as the input is long does not exhaust the stack", "[common]") {
    CHECK_FALSE(parse_json(std::string(1 << 20, '[')));
    const std::string closed = std::string(100'000, '[') + std::string(100'000, ']');
    CHECK(parse_json(closed));
}

TEST_CASE("text that is not UTF-8 is written escaped", "[common]") {
    rapidjson::StringBuffer buffer;
    JsonWriter writer{buffer};
    write_string(writer,
                 "a\xff"
                 "b");
    CHECK(std::string{buffer.GetString()} == R"("a\\xffb")");
}

TEST_CASE("the beginning of a byte order mark is no text either", "[common]") {
    CHECK(json_text([](JsonWriter& writer) { write_string(writer, "\xef"); }) == R"("\\xef")");
    CHECK(json_text([](JsonWriter& writer) { write_string(writer, "\xef\xbb"); }) == R"("\\xef\\xbb")");
}

TEST_CASE("a member that is not a string reads as empty", "[common]") {
    const auto document = parse_json(R"({"a": "x", "b": 1})");
    CHECK(string_member(*document, "a") == "x");
    CHECK(string_member(*document, "b").empty());
    CHECK(string_member(*document, "c").empty());
}
