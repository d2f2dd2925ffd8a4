#include <catch2/catch.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/http/body_parser.h"
#include "daemon/http/head_parser.h"

using namespace brokerd;

namespace {

struct Collect final : BodySink {
    std::size_t take_body(std::string_view piece) override {
        const std::size_t count = std::min(piece.size(), room - std::min(room, body.size()));
        body.append(piece.substr(0, count));
        return count;
    }
    std::string body;
    std::size_t room = SIZE_MAX;
};

/// Feeds `bytes` as a stream that grows by `step`; what the message's end leaves over is in `rest`.
struct Parsed {
    ParseStatus status = ParseStatus::need_more;
    std::string body;
    std::string rest;
    unsigned problem_status = 0;
    std::vector<std::pair<std::string, std::string>> forwarded;
    bool may_end_here = false;

    Parsed(const std::string& bytes, std::size_t step, bool is_request) {
        HeadParser parser;
        HttpHead head;
        std::size_t end = 0;
        while (status == ParseStatus::need_more && end < bytes.size()) {
            end = std::min(end + step, bytes.size());
            const auto come = std::string_view{bytes}.substr(0, end);
            status = is_request ? parser.parse_request(come, head) : parser.parse_response(come, head, true);
        }
        problem_status = parser.problem().status;
        if (status != ParseStatus::done) return;
        for (const auto& field : head.fields) {
            if (field.kind < FieldKind::hop_by_hop) forwarded.emplace_back(field.name, field.value);
        }
        std::size_t done = head.bytes;
        Collect sink;
        BodyParser body_parser;
        body_parser.start(head);
        for (;;) {
            std::size_t used = 0;
            status = body_parser.parse(std::string_view{bytes}.substr(done, end - done), sink, used);
            done += used;
            if (status != ParseStatus::need_more || end == bytes.size()) break;
            end = std::min(end + step, bytes.size());
        }
        body = sink.body;
        rest = bytes.substr(done);
        may_end_here = body_parser.may_end_here();
    }
};

struct Request : Parsed {
    Request(const std::string& bytes, std::size_t step) : Parsed{bytes, step, true} {}
};
struct Response : Parsed {
    Response(const std::string& bytes, std::size_t step) : Parsed{bytes, step, false} {}
};
using Status = ParseStatus;

const std::string kHost = "Host: x\r\n";

}  // namespace

TEST_CASE("a request is the same whole and byte by byte", "[http]") {
    const std::size_t step = GENERATE(1U, 2U, 3U, 7U, 1000U);
    const Request length{"POST /VolumeDriver.List HTTP/1.1\r\n" + kHost + "Content-Length: 5\r\n\r\nhelloGET", step};
    CHECK(length.status == Status::done);
    CHECK(length.body == "hello");
    const Request chunked{
        "POST / HTTP/1.1\r\n" + kHost +
            "Transfer-Encoding: chunked\r\n\r\n5;x=\"a;b\"\r\nhello\r\n0A\r\n0123456789\r\n0\r\nX: y\r\n\r\n",
        step};
    CHECK(chunked.status == Status::done);
    CHECK(chunked.body == "hello0123456789");
    const Request empty{"POST / HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", step};
    CHECK(empty.status == Status::done);
    const Request none{"GET / HTTP/1.1\r\n" + kHost + "\r\n", step};
    CHECK(none.status == Status::done);
}

TEST_CASE("what dockerd and podman send as Host is valid", "[http]") {
    CHECK(Request{"POST /Plugin.Activate HTTP/1.1\r\nHost: \r\n\r\n", 1000}.status == Status::done);
    CHECK(Request{"POST /Plugin.Activate HTTP/1.1\r\nHost: plugin\r\n\r\n", 1000}.status == Status::done);
}

TEST_CASE("what RFC 9112 forbids is malformed, whole and byte by byte", "[http]") {
    const std::size_t step = GENERATE(1U, 1000U);
    const std::string fields = GENERATE(
        as<std::string>{}, "Content-Length: 1\r\nContent-Length: 2\r\n", "Content-Length: 1\r\nContent-Length: 1\r\n",
        "Content-Length: 1, 1\r\n", "Content-Length: +1\r\n", "Content-Length: -1\r\n", "Content-Length: 0x1\r\n",
        "Content-Length: \r\n", "Content-Length: 1 1\r\n", "Content-Length: 18446744073709551618\r\n",
        "Content-Length: 9223372036854775808\r\n", "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n", "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding: identity\r\n", "Transfer-Encoding:\r\n",
        "Transfer-Encoding: \"chunked\"\r\n", "X: a\r\n b\r\n", "X : a\r\n", ": a\r\n", "X\r\n", "X: a\rb\r\n",
        "X: a\nY: b\r\n", "X: a\x01\r\n", "Host: x\r\n", " X: a\r\n", "Connection: a b\r\n",
        "Connection: close, \"x\"\r\n");
    INFO(fields);
    CHECK(Request{"POST / HTTP/1.1\r\n" + kHost + fields + "\r\nx", step}.status == Status::malformed);
}

TEST_CASE("a bad request line or Host is malformed", "[http]") {
    const std::string head = GENERATE(
        as<std::string>{}, "GET  / HTTP/1.1\r\nHost: x\r\n\r\n", "GET /\r\n\r\n", "GET / HTTP/2.0\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1 \r\nHost: x\r\n\r\n", "GET / http/1.1\r\nHost: x\r\n\r\n",
        "GET x HTTP/1.1\r\nHost: x\r\n\r\n", "GET * HTTP/1.1\r\nHost: x\r\n\r\n", "GET /# HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /\x7f HTTP/1.1\r\nHost: x\r\n\r\n", "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "GET / HTTP/1.1\r\nHost: x/y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: u@x\r\n\r\n", "GET / HTTP/1.1\nHost: x\n\n");
    INFO(head);
    CHECK(Request{head, 1000}.status == Status::malformed);
}

TEST_CASE("a bad chunk is malformed", "[http]") {
    const std::size_t step = GENERATE(1U, 1000U);
    const std::string body =
        GENERATE(as<std::string>{}, "0x1\r\nx\r\n0\r\n\r\n", "+1\r\nx\r\n0\r\n\r\n", "-1\r\nx\r\n0\r\n\r\n",
                 "\r\nx\r\n0\r\n\r\n", "1\nx\r\n0\r\n\r\n", "1\r\nxy\r\n0\r\n\r\n", "1\r\nx\n0\r\n\r\n",
                 "10000000000000001\r\nx\r\n0\r\n\r\n", "g\r\nx\r\n0\r\n\r\n", "1;a=\"\r\nx\r\n0\r\n\r\n",
                 "0;a=\"\r\n\r\n", "1;a=\"\x01\"\r\nx\r\n0\r\n\r\n", "1_0\r\nx\r\n0\r\n\r\n");
    INFO(body);
    CHECK(Request{"POST / HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked\r\n\r\n" + body, step}.status ==
          Status::malformed);
}

TEST_CASE("fields of this hop are not forwarded, nor those that Connection names", "[http]") {
    const Request request{"GET / HTTP/1.1\r\n" + kHost +
                              "Connection: close, X-Mine\r\nx-mine: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nUpgrade: "
                              "h2c\r\nX-Other: 2\r\n\r\n",
                          1000};
    REQUIRE(request.status == Status::done);
    CHECK(request.forwarded == std::vector<std::pair<std::string, std::string>>{{"Host", "x"}, {"X-Other", "2"}});
}

TEST_CASE("Connection names as many fields as a head may have", "[http]") {
    std::string names;
    for (std::size_t i = 0; i < kMaxFields; ++i) names += "x,";
    const std::string head = "GET / HTTP/1.1\r\n" + kHost + "Connection: close, " + names;
    CHECK(Request{head + "\r\n\r\n", 4096}.status == Status::done);
    CHECK(Request{head + "x\r\n\r\n", 4096}.problem_status == 431);
}

TEST_CASE("a head beyond the limit is refused with 431", "[http]") {
    const Request request{"GET / HTTP/1.1\r\n" + kHost + "X: " + std::string(kMaxHeadBytes, 'x') + "\r\n\r\n", 4096};
    CHECK(request.status == Status::malformed);
    CHECK(request.problem_status == 431);
}

TEST_CASE("an unknown transfer coding is 501, another expectation 417", "[http]") {
    CHECK(Request{"POST / HTTP/1.1\r\n" + kHost + "Transfer-Encoding: gzip\r\n\r\n", 1000}.problem_status == 501);
    CHECK(Request{"POST / HTTP/1.1\r\n" + kHost + "Expect: cake\r\n\r\n", 1000}.problem_status == 417);
}

TEST_CASE("a sink without room stops the body and goes on later", "[http]") {
    BodyParser parser;
    parser.start(BodyFraming::length, 10);
    Collect sink;
    sink.room = 4;
    std::size_t used = 0;
    std::string_view rest = "0123456789";
    CHECK(parser.parse(rest, sink, used) == Status::blocked);
    CHECK(used == 4);
    sink.room = 10;
    rest.remove_prefix(used);
    CHECK(parser.parse(rest, sink, used) == Status::done);
    CHECK(sink.body == "0123456789");
}

TEST_CASE("what went past the parser counts as parsed", "[http]") {
    BodyParser parser;
    parser.start(BodyFraming::length, 10);
    CHECK(parser.plain_bytes() == 10);
    parser.skip(4);
    CHECK(parser.plain_bytes() == 6);
    parser.skip(6);
    CHECK(parser.is_done());
    parser.start(BodyFraming::chunked, 0);
    CHECK(parser.plain_bytes() == 0);
    Collect sink;
    std::size_t used = 0;
    CHECK(parser.parse("5\r\n", sink, used) == Status::need_more);
    CHECK(parser.plain_bytes() == 5);
    parser.skip(5);
    CHECK(parser.parse("\r\n0\r\n\r\n", sink, used) == Status::done);
}

TEST_CASE("what must be acted upon cannot be taken away by Connection", "[http]") {
    const Request request{"POST / HTTP/1.1\r\n" + kHost +
                              "Connection: Expect, Host, Content-Length\r\nExpect: 100-continue\r\nContent-Length: "
                              "0\r\n\r\n",
                          1000};
    CHECK(request.forwarded.size() == 3);
}

TEST_CASE("one HttpHead serves message after message", "[http]") {
    HttpHead head;
    HeadParser parser;
    REQUIRE(parser.parse_request("POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n"
                                 "Connection: close, X\r\n\r\n",
                                 head) == Status::done);
    CHECK(head.expects_continue);
    CHECK(head.length == 3);
    CHECK_FALSE(head.keep_alive);
    parser.reset();
    REQUIRE(parser.parse_request("GET /b HTTP/1.1\r\nHost: y\r\n\r\n", head) == Status::done);
    CHECK(head.target == "/b");
    CHECK(head.fields.size() == 1);
    CHECK(head.connection_options.empty());
    CHECK(head.keep_alive);
    CHECK_FALSE(head.expects_continue);
    CHECK(head.framing == BodyFraming::none);
}

TEST_CASE("what cannot become HTTP is refused before its line ends", "[http]") {
    HttpHead head;
    CHECK(HeadParser{}.parse_request("\x16\x03\x01", head) == Status::malformed);
    CHECK(HeadParser{}.parse_request(" GET", head) == Status::malformed);
    CHECK(HeadParser{}.parse_request("GET / HTTP/1.1\r\nHost: x\r\n\rx", head) == Status::malformed);
    CHECK(HeadParser{}.parse_request("GET /", head) == Status::need_more);
    CHECK(HeadParser{}.parse_request("\r\n\r", head) == Status::need_more);
    CHECK(HeadParser{}.parse_response("SSH-2.0", head, true) == Status::malformed);
    CHECK(HeadParser{}.parse_response("HTT", head, true) == Status::need_more);
}

TEST_CASE("chunk extensions keep to their grammar", "[http]") {
    const std::size_t step = GENERATE(1U, 1000U);
    const auto with = [step](const std::string& extension) {
        return Request{
            "POST / HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked\r\n\r\n1" + extension + "\r\nx\r\n0\r\n\r\n",
            step}
            .status;
    };
    for (const std::string good : {";a", ";a=b", " ; a = b ;c", ";a=\"b c\";d", ";a=\"\\\"\""}) {
        INFO(good);
        CHECK(with(good) == Status::done);
    }
    for (const std::string bad : {";", ";;a", ";a=", ";=b", ";a b", ";a=b c", ";a=\"b\"c", " ", ";a ", ";a=\"b"}) {
        INFO(bad);
        CHECK(with(bad) == Status::malformed);
    }
}

TEST_CASE("responses: every framing, and what is malformed", "[http]") {
    const std::size_t step = GENERATE(1U, 1000U);
    CHECK(Response{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", step}.body == "ok");
    CHECK(Response{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", step}.body == "ok");
    CHECK(Response{"HTTP/1.1 200 OK\r\n\r\nok", step}.status == Status::need_more);
    CHECK(Response{"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok", step}.rest == "ok");
    for (const std::string head :
         {"HTTP/1.1 99 X\r\n\r\n", "HTTP/1.1 600 X\r\n\r\n", "HTTP/1.1 abc X\r\n\r\n", "HTTP/1.1 101 X\r\n\r\n",
          "nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
          "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
          "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n"}) {
        INFO(head);
        CHECK(Response{head, step}.status == Status::malformed);
    }
}

TEST_CASE("only a body that lasts to the end of the connection is completed by it", "[http]") {
    const auto ends_well = [](const std::string& bytes) { return Response{bytes, 1000}.may_end_here; };
    CHECK(ends_well("HTTP/1.1 200 OK\r\n\r\nok"));
    CHECK_FALSE(ends_well("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok"));
    CHECK_FALSE(ends_well("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok"));
}

TEST_CASE("Host is a name or an address, perhaps with a port", "[http]") {
    const auto status = [](const std::string& host) {
        return Request{"GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n", 1000}.status;
    };
    for (const std::string good : {"x", "x:", "x:80", "%41b", "[::1]", "[::ffff:1.2.3.4]:80", "[v1.a:b]"}) {
        INFO(good);
        CHECK(status(good) == Status::done);
    }
    for (const std::string bad : {"%4", "%4x", "%x4", "x:y", "[", "[]", "[x]", "[::1]80", "[::1]:x"}) {
        INFO(bad);
        CHECK(status(bad) == Status::malformed);
    }
}
