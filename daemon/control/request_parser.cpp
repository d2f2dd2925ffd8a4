#include "daemon/control/request_parser.h"

// Framing is Boost.Beast's, as in the proxy, and not cpp-httplib's. The parser of cpp-httplib 0.11.4 reads from a
// blocking stream (each slow client holds a thread), waits for the end of the connection where a POST has no
// Content-Length, has no limit for the length of a line, for a chunked body and for what a compressed body expands to,
// skips lines without CRLF, and decodes %XX in field values.
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <limits>

#include "daemon/control/error_reply.h"
#include "daemon/control/request_target.h"

namespace brokerd {
namespace {

namespace http = boost::beast::http;

std::string text(boost::beast::string_view view) {
    return {view.data(), view.size()};
}

}  // namespace

struct RequestParser::Current {
    http::request_parser<http::string_body> parser;
    ControlRequest request;
    bool started = false;
    bool head_checked = false;
    bool too_large = false;
    bool expectation_taken = false;

    Current() {
        parser.header_limit(static_cast<std::uint32_t>(kMaxHeadBytes));
        parser.body_limit(std::numeric_limits<std::uint64_t>::max());  // until it is known who reads the body
    }
};

RequestParser::RequestParser() : current_{std::make_unique<Current>()} {}
RequestParser::~RequestParser() = default;
RequestParser::RequestParser(RequestParser&&) noexcept = default;
RequestParser& RequestParser::operator=(RequestParser&&) noexcept = default;

RequestParser::Progress RequestParser::feed(std::string& input) {
    if (current_->too_large) return refuse(error_reply::body_too_large(kMaxBodyBytes));
    while (!input.empty() && !current_->parser.is_done()) {
        current_->started = true;
        // Beast 1.74 asserts that a last chunk ("0\r\n\r\n") comes whole. No less than that is left of a chunked body
        // that has not ended.
        if (current_->head_checked && current_->parser.chunked() && input.size() < 5) return Progress::need_more;
        boost::beast::error_code error;
        const std::size_t consumed = current_->parser.put(boost::asio::buffer(input), error);
        input.erase(0, consumed);
        if (error == http::error::need_more) error = {};
        if (error == http::error::header_limit) return refuse(error_reply::head_too_large(kMaxHeadBytes));
        if (error == http::error::body_limit) return refuse(error_reply::body_too_large(kMaxBodyBytes));
        if (error) return refuse(error_reply::malformed_request(error.message()));
        if (current_->parser.is_header_done() && !current_->head_checked) {
            return check_head() ? Progress::head : Progress::malformed;
        }
        if (consumed != 0) continue;
        // A chunk header, or a head, that does not end.
        if (input.size() >= kMaxHeadBytes) return refuse(error_reply::head_too_large(kMaxHeadBytes));
        return Progress::need_more;
    }
    return current_->parser.is_done() ? Progress::complete : Progress::need_more;
}

RequestParser::Progress RequestParser::end_of_input() const {
    return current_->started ? Progress::malformed : Progress::need_more;
}

const ControlRequest& RequestParser::head() const noexcept {
    return current_->request;
}

void RequestParser::collect_body() {
    auto& parser = current_->parser;
    const auto length = parser.content_length();
    current_->too_large = length && *length > kMaxBodyBytes;
    parser.body_limit(kMaxBodyBytes);
    parser.eager(true);
}

RequestParser::Streamed RequestParser::take_streamed() {
    const auto& parser = current_->parser;
    Streamed streamed{std::move(current_->request), {}};
    if (parser.chunked()) {
        streamed.body.start(BodyFraming::chunked, 0);
    } else if (const auto length = parser.content_length()) {
        streamed.body.start(BodyFraming::length, *length);
    }
    current_ = std::make_unique<Current>();
    return streamed;
}

bool RequestParser::take_expectation() {
    if (!current_->head_checked || current_->expectation_taken) return false;
    current_->expectation_taken = true;
    // RFC 9110 10.1.1: an HTTP/1.0 client cannot mean it.
    if (current_->parser.get().version() < 11) return false;
    return boost::beast::iequals(current_->parser.get()[http::field::expect], "100-continue");
}

bool RequestParser::keep_alive() const {
    return current_->parser.keep_alive();
}

ControlRequest RequestParser::take() {
    ControlRequest request = std::move(current_->request);
    request.body = std::move(current_->parser.get().body());
    current_ = std::make_unique<Current>();
    return request;
}

RequestParser::Progress RequestParser::refuse(ControlReply refusal) {
    refusal_ = std::move(refusal);
    return Progress::malformed;
}

bool RequestParser::check_head() {
    const auto& head = current_->parser.get();
    current_->head_checked = true;
    const auto bad = [this](const char* why) {
        refusal_ = error_reply::malformed_request(why);
        return false;
    };
    if (head.version() != 10 && head.version() != 11) return bad("only HTTP/1.0 and HTTP/1.1 are spoken here");
    // Beast takes a coding that it does not know for "no body"; what follows would be read as the next request.
    if (head.count(http::field::transfer_encoding) != 0 && !current_->parser.chunked()) {
        return bad("of transfer codings only chunked is understood");
    }

    auto target = parse_request_target(text(head.target()));
    if (!target) return bad(target.error().message.c_str());
    ControlRequest& request = current_->request;
    request.method = text(head.method_string());
    request.path = std::move(target->path);
    request.query = std::move(target->query);
    request.content_type = text(head[http::field::content_type]);
    for (const auto& field : head) request.headers.emplace_back(text(field.name_string()), text(field.value()));
    request.streams_chunked = head.version() == 11;
    return true;
}

}  // namespace brokerd
