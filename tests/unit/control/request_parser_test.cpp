#include "daemon/control/request_parser.h"

#include <catch2/catch.hpp>
#include <string>
#include <string_view>

namespace brokerd {
namespace {

using Progress = RequestParser::Progress;

constexpr std::string_view kHead = "POST /_ping HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Feeds `bytes` and what was left of those before, and collects the body.
Progress feed(RequestParser& parser, std::string& input, std::string_view bytes) {
    input += bytes;
    const Progress progress = parser.feed(input);
    if (progress != Progress::head) return progress;
    parser.collect_body();
    return parser.feed(input);
}

TEST_CASE("a last chunk in pieces is waited for", "[control]") {
    const std::string_view last = GENERATE("0\r\n\r\n", "0\r\nX: y\r\n\r\n", "000;x=y\r\n\r\n");
    const std::string_view chunks = GENERATE("", "3\r\nabc\r\n", "3\r\nabc\r\n1\r\nd\r\n");
    const std::string body{chunks.empty() ? "" : chunks.size() > 10 ? "abcd" : "abc"};
    for (std::size_t cut = 0; cut < last.size(); ++cut) {
        CAPTURE(chunks, last, cut);
        RequestParser parser;
        std::string input;
        CHECK(feed(parser, input, std::string{kHead} + std::string{chunks}) == Progress::need_more);
        CHECK(feed(parser, input, last.substr(0, cut)) == Progress::need_more);
        REQUIRE(feed(parser, input, last.substr(cut)) == Progress::complete);
        CHECK(input.empty());
        CHECK(parser.take().body == body);
    }
}

TEST_CASE("chunks are read byte by byte, and what follows them is the next request", "[control]") {
    RequestParser parser;
    std::string input;
    Progress progress = Progress::need_more;
    for (const char byte : std::string{kHead} + "3\r\nabc\r\n0\r\nX: y\r\n\r\n") {
        REQUIRE(progress == Progress::need_more);
        progress = feed(parser, input, {&byte, 1});
    }
    REQUIRE(progress == Progress::complete);
    CHECK(parser.keep_alive());
    CHECK(parser.take().body == "abc");
    CHECK(feed(parser, input, "GET /info HTTP/1.1\r\n\r\n") == Progress::complete);
    CHECK(parser.take().path == "/info");
}

TEST_CASE("a chunked body that stops within its last chunk is no request", "[control]") {
    RequestParser parser;
    std::string input;
    CHECK(feed(parser, input, std::string{kHead} + "3\r\nabc\r\n0\r\n") == Progress::need_more);
    CHECK(parser.end_of_input() == Progress::malformed);
}

}  // namespace
}  // namespace brokerd
