// Requests on the control socket: daemon/control/request_parser.h, request_target.h, api_version.h.
#include <utility>

#include "daemon/control/api_version.h"
#include "daemon/control/request_parser.h"
#include "daemon/control/request_target.h"
#include "tests/fuzz/checks.h"
#include "tests/fuzz/http_messages.h"

namespace brokerd::fuzz::control_request_target {
namespace {

using Progress = RequestParser::Progress;

struct Read {
    std::vector<ControlRequest> requests;
    Progress end = Progress::need_more;
    unsigned refusal = 0;
    std::size_t left = 0;
};

/// All requests of one connection, which come in pieces, their bodies collected.
template <class NextPiece>
Read read_requests(std::string_view bytes, NextPiece next_piece) {
    Read read;
    RequestParser parser;
    std::string input;
    std::size_t come = 0;
    for (;;) {
        read.end = parser.feed(input);
        if (read.end == Progress::head) {
            parser.collect_body();
        } else if (read.end == Progress::complete) {
            const bool keep_alive = parser.keep_alive();
            read.requests.push_back(parser.take());
            if (!keep_alive) break;
        } else if (read.end == Progress::malformed) {
            read.refusal = parser.refusal().status;
            break;
        } else {
            expect(input.size() <= RequestParser::kMaxHeadBytes, "no parser hoards what it cannot read");
            if (come == bytes.size()) break;
            const std::size_t count = next_piece(bytes.size() - come);
            input += bytes.substr(come, count);
            come += count;
        }
    }
    read.left = input.size() + bytes.size() - come;
    return read;
}

bool same(const ControlRequest& a, const ControlRequest& b) {
    return a.method == b.method && a.path == b.path && a.query == b.query && a.content_type == b.content_type &&
           a.headers == b.headers && a.body == b.body && a.streams_chunked == b.streams_chunked;
}

void expect_same(const Read& whole, const Read& pieces) {
    expect(whole.requests.size() == pieces.requests.size(), "requests are read alike, whole and in pieces");
    if (whole.end != pieces.end) return;  // what never becomes a request is refused earlier or later
    for (std::size_t i = 0; i < whole.requests.size(); ++i)
        expect(same(whole.requests[i], pieces.requests[i]), "a request is the same, whole and in pieces");
    // Of a request that has not ended the parser has taken what it could use: more of it in pieces.
    if (whole.end == Progress::complete)
        expect(whole.left == pieces.left, "what follows a request is the same, whole and in pieces");
}

void expect_request(const ControlRequest& request) {
    expect(request.path.starts_with('/') && percent_decoded(request.path).has_value(), "a path can be decoded",
           request.path);
    expect(request.body.size() <= RequestParser::kMaxBodyBytes, "a body keeps to its limit");
    const auto versioned = api_version::split(request.path);
    expect(versioned.path.starts_with('/') && request.path.ends_with(versioned.path), "a path keeps its end",
           request.path);
    if (!versioned.version.empty()) static_cast<void>(api_version::refusal(versioned.version));
}

/// The first request, its body read by the strict parser instead: the same bytes, and the same end.
void try_streamed(std::string_view bytes, const Read& whole) {
    RequestParser parser;
    std::string input{bytes};
    if (parser.feed(input) != Progress::head) return;
    RequestParser::Streamed streamed = parser.take_streamed();
    CollectedBody sink;
    std::size_t used = 0;
    const ParseStatus status = streamed.body.parse(input, sink, used);
    if (whole.requests.empty()) return;  // the collected body is too large, or one reader is stricter
    const ControlRequest& collected = whole.requests.front();
    expect(streamed.request.path == collected.path && streamed.request.headers == collected.headers,
           "a streamed request has the same head");
    if (status == ParseStatus::done) expect(sink.bytes == collected.body, "a streamed body is the collected one");
    expect(status != ParseStatus::need_more, "a body that was collected is whole when it is streamed");
}

/// Where the data plane's parser takes the first request, both see the same one.
void expect_no_second_reading(std::string_view bytes, const Read& whole) {
    const ReadMessage strict = read_message(bytes, MessageKind::request, [](std::size_t left) { return left; });
    if (!strict.is_done() || whole.requests.empty()) return;
    const ControlRequest& request = whole.requests.front();
    expect(request.method == strict.head.method && request.body == strict.body, "one request has one reading",
           request.body);
}

}  // namespace

void try_input(std::string_view input) {
    const Read whole = read_requests(input, [](std::size_t left) { return left; });
    if (whole.end == Progress::malformed) expect(whole.refusal >= 400 && whole.refusal < 600, "a refusal has a status");
    for (const ControlRequest& request : whole.requests) expect_request(request);
    if (input.size() <= 512) expect_same(whole, read_requests(input, [](std::size_t) { return std::size_t{1}; }));
    Cuts cuts{input};
    expect_same(whole, read_requests(input, [&](std::size_t left) { return cuts.next(left); }));
    try_streamed(input, whole);
    expect_no_second_reading(input, whole);
    const auto target = parse_request_target(input);
    if (!target) expect_sentence(target.error().message);
}

}  // namespace brokerd::fuzz::control_request_target
