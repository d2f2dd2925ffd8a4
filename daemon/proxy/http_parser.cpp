#include "daemon/proxy/http_parser.h"

#include <boost/beast/http/error.hpp>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

// Why checks of our own around a maintained parser: Boost.Beast 1.74 joins folded lines, takes lists of equal
// Content-Lengths, takes transfer codings that it cannot undo, lets control characters pass in some places, and leaves
// Host to its caller. RFC 9112 lets a proxy read none of these in two ways, so brokerd reads them in no way (400).
// Its tokenising is used as it is: no byte is interpreted here that it has not delimited.

namespace brokerd {
namespace {

namespace beast = boost::beast;

std::string_view view(beast::string_view text) {
    return {text.data(), text.size()};
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
    return beast::iequals(beast::string_view{a.data(), a.size()}, beast::string_view{b.data(), b.size()});
}

/// RFC 9110 5.5: a field value holds visible ASCII, obs-text, blanks and tabs.
bool is_value_character(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

bool is_visible(char c) {
    return c > 0x20 && c < 0x7f;
}

bool is_hex(char c) {
    return std::isxdigit(static_cast<unsigned char>(c)) != 0;
}

/// RFC 3986 3.2.2: unreserved, sub-delims and %XX.
bool is_reg_name(std::string_view host) {
    for (std::size_t i = 0; i < host.size(); ++i) {
        if (host[i] == '%') {
            if (i + 2 >= host.size() || !is_hex(host[i + 1]) || !is_hex(host[i + 2])) return false;
        } else if (std::isalnum(static_cast<unsigned char>(host[i])) == 0 &&
                   std::string_view{"-._~!$&'()*+,;="}.find(host[i]) == std::string_view::npos) {
            return false;
        }
    }
    return true;
}

/// RFC 9110 7.2 and RFC 3986 3.2.2, 3.2.3: [host [":" port]]; may be empty (dockerd sends that).
bool is_host(std::string_view value) {
    std::string_view port;
    if (!value.empty() && value.front() == '[') {
        const std::size_t close = value.find(']');
        if (close == std::string_view::npos) return false;
        const std::string_view literal = value.substr(1, close - 1);
        const auto ok = [](char c) { return is_hex(c) || c == ':' || c == '.' || c == 'v'; };
        if (literal.empty() || !std::all_of(literal.begin(), literal.end(), ok)) return false;
        port = value.substr(close + 1);
    } else {
        const std::size_t colon = std::min(value.find(':'), value.size());
        const std::string_view host = value.substr(0, colon);
        if (!is_reg_name(host)) return false;
        port = value.substr(colon);
    }
    if (port.empty()) return true;
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };
    return port.front() == ':' && std::all_of(port.begin() + 1, port.end(), digit);
}

/// "0\r\n\r\n"
constexpr std::size_t kShortestLastChunk = 5;
constexpr const char* kOpenQuote = "a quoted string without end in a chunk extension";

/// Whether a complete chunk-size line, which is kept back, opens a quoted string that it does not close: Beast would
/// look for the end in the lines that follow. `rest` begins with that line or with the CRLF before it.
bool leaves_quote_open(std::string_view rest) {
    const std::size_t start = rest.starts_with("\r\n") ? 2 : 0;
    const std::size_t end = rest.find('\n', start);
    if (end == std::string_view::npos) return false;
    bool quoted = false;
    for (std::size_t i = start; i < end; ++i) {
        if (quoted && rest[i] == '\\') {
            ++i;
        } else if (rest[i] == '"') {
            quoted = !quoted;
        }
    }
    return quoted;
}

/// RFC 9110 7.6.1 names those that a proxy must know without being told by Connection.
bool is_always_hop_by_hop(std::string_view name) {
    static constexpr std::array<std::string_view, 10> kNames{
        "Connection", "HTTP2-Settings",    "Keep-Alive", "Proxy-Connection",   "TE",
        "Trailer",    "Transfer-Encoding", "Upgrade",    "Proxy-Authenticate", "Proxy-Authorization"};
    return std::any_of(kNames.begin(), kNames.end(),
                       [name](std::string_view known) { return equals_ignoring_case(known, name); });
}

}  // namespace

template <bool isRequest>
void HttpParser<isRequest>::refuse(Error& error, unsigned status, std::string problem) {
    problem_ = std::move(problem);
    problem_status_ = status;
    error = beast::http::make_error_code(beast::http::error::bad_value);
}

template <bool isRequest>
auto HttpParser<isRequest>::failed(const Error& error) -> Status {
    if (problem_.empty()) problem_ = error.message();
    if (error == beast::http::error::header_limit) {
        problem_ = "the head is larger than 32 KiB";
        problem_status_ = 431;
    } else if (error == beast::http::error::bad_version) {
        problem_status_ = 400;
    }
    return Status::malformed;
}

template <bool isRequest>
auto HttpParser<isRequest>::parse_head(std::string_view bytes) -> Status {
    bytes_ = bytes;
    // RFC 9112 2.2: a server ignores empty lines before a request line. Bounded: only whole CRLFs, and few.
    while (isRequest && !this->got_some() && parsed_ < 8 && bytes.substr(parsed_, 2) == "\r\n") parsed_ += 2;
    while (!head_done_) {
        const std::string_view rest = bytes.substr(parsed_);
        if (rest.empty() || rest == "\r") return Status::need_more;
        Error error;
        parsed_ += this->put(boost::asio::const_buffer{rest.data(), rest.size()}, error);
        if (error == beast::http::error::need_more) {
            if (bytes.size() >= kMaxHeadBytes)
                return failed(beast::http::make_error_code(beast::http::error::header_limit));
            return Status::need_more;
        }
        if (error) return failed(error);
        if (this->is_header_done()) head_done_ = true;
    }
    if (parsed_ > kMaxHeadBytes) return failed(beast::http::make_error_code(beast::http::error::header_limit));
    return finish_head() ? Status::done : Status::malformed;
}

template <bool isRequest>
auto HttpParser<isRequest>::parse_body(std::string_view bytes, BodySink& sink, std::size_t& used) -> Status {
    used = 0;
    sink_ = &sink;
    blocked_ = false;
    while (!this->is_done()) {
        const std::string_view rest = bytes.substr(used);
        // Beast 1.74 asserts five bytes when it looks at the last chunk again; every chunk's header has as many to
        // come.
        if (rest.empty() || (kept_back_ && rest.size() < kShortestLastChunk)) return Status::need_more;
        bytes_ = rest;
        Error error;
        used += this->put(boost::asio::const_buffer{rest.data(), rest.size()}, error);
        if (blocked_) return Status::blocked;
        kept_back_ = error == beast::http::error::need_more;
        if (error == beast::http::error::need_more) {
            if (head_.framing != BodyFraming::chunked || !leaves_quote_open(bytes.substr(used)))
                return Status::need_more;
            refuse(error, 400, kOpenQuote);
        }
        if (error) return failed(error);
    }
    return Status::done;
}

template <bool isRequest>
bool HttpParser<isRequest>::finish_at_end() {
    if (this->is_done()) return true;
    if (!head_done_ || head_.framing != BodyFraming::until_close) return false;
    Error error;
    this->put_eof(error);
    return !error && this->is_done();
}

template <bool isRequest>
void HttpParser<isRequest>::on_request_impl(beast::http::verb, View method, View target, int version, Error& error) {
    head_.method = view(method);
    head_.target = view(target);
    head_.http11 = version == 11;
    if (!std::all_of(head_.target.begin(), head_.target.end(), is_visible) ||
        head_.target.find('#') != std::string_view::npos) {
        refuse(error, 400, "the request target contains a character that a URI cannot have");
    }
}

template <bool isRequest>
void HttpParser<isRequest>::on_response_impl(int code, View reason, int version, Error& error) {
    head_.status = static_cast<unsigned>(code);
    head_.reason = view(reason);
    head_.http11 = version == 11;
    if (code < 100 || code > 599) refuse(error, 502, "the status code is not between 100 and 599");
    if (!std::all_of(head_.reason.begin(), head_.reason.end(), is_value_character))
        refuse(error, 502, "control character in the reason phrase");
}

template <bool isRequest>
void HttpParser<isRequest>::on_field_impl(beast::http::field, View name, View value, Error& error) {
    // Beast joins folded lines (obs-fold). It has looked at the byte behind the line's end to know, so it is there.
    const auto after_name = static_cast<std::size_t>(name.data() + name.size() - bytes_.data());
    const std::size_t line_end = bytes_.find('\n', after_name);
    if (line_end + 1 < bytes_.size() && (bytes_[line_end + 1] == ' ' || bytes_[line_end + 1] == '\t')) {
        return refuse(error, 400, "a field value is folded over lines (obs-fold)");
    }
    check_field(view(name), view(value), error);
}

template <bool isRequest>
void HttpParser<isRequest>::check_field(std::string_view name, std::string_view value, Error& error) {
    if (name.empty()) return refuse(error, 400, "a field has no name");
    if (!std::all_of(value.begin(), value.end(), is_value_character))
        return refuse(error, 400, "control character in a field value");
    if (head_done_) {  // a trailer: checked as strictly, and then dropped (RFC 9110 6.5.1 allows it)
        if (++trailer_fields_ > kMaxFields) refuse(error, 431, "more than 128 trailer fields");
        return;
    }
    if (head_.fields.size() >= kMaxFields) return refuse(error, 431, "more than 128 fields");
    head_.fields.push_back({name, value, is_always_hop_by_hop(name)});
    check_framing_fields(name, value, error);
}

template <bool isRequest>
void HttpParser<isRequest>::check_framing_fields(std::string_view name, std::string_view value, Error& error) {
    if (equals_ignoring_case(name, "Content-Length")) {
        if (has_length_) return refuse(error, 400, "more than one Content-Length");
        if (has_coding_) return refuse(error, 400, "both Content-Length and Transfer-Encoding");
        has_length_ = true;
        const char* const end = value.data() + value.size();
        const auto [stop, code] = std::from_chars(value.data(), end, head_.length);
        const bool digits =
            !value.empty() && std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; });
        if (!digits || code != std::errc{} || stop != end || head_.length > static_cast<std::uint64_t>(INT64_MAX)) {
            return refuse(error, 400, "Content-Length is not one decimal number");
        }
    } else if (equals_ignoring_case(name, "Transfer-Encoding")) {
        if (has_coding_) return refuse(error, 400, "more than one Transfer-Encoding");
        if (has_length_) return refuse(error, 400, "both Content-Length and Transfer-Encoding");
        if (!head_.http11) return refuse(error, 400, "Transfer-Encoding in an HTTP/1.0 message");
        has_coding_ = true;
        if (!equals_ignoring_case(value, "chunked")) return refuse(error, 501, "a transfer coding other than chunked");
    } else if (equals_ignoring_case(name, "Connection")) {
        note_connection(value);
    } else if (isRequest && equals_ignoring_case(name, "Host")) {
        if (head_.has_host) return refuse(error, 400, "more than one Host");
        head_.has_host = true;
        if (!is_host(value)) return refuse(error, 400, "Host is not a host name with an optional port");
    } else if (isRequest && equals_ignoring_case(name, "Expect")) {
        if (!equals_ignoring_case(value, "100-continue"))
            return refuse(error, 417, "an expectation other than 100-continue");
        head_.expects_continue = head_.http11;  // RFC 9110 10.1.1: in HTTP/1.0 it is to be ignored
    }
}

template <bool isRequest>
void HttpParser<isRequest>::note_connection(std::string_view value) {
    for (std::size_t start = 0; start <= value.size();) {
        const std::size_t end = std::min(value.find(',', start), value.size());
        std::string_view token = value.substr(start, end - start);
        while (!token.empty() && (token.front() == ' ' || token.front() == '\t')) token.remove_prefix(1);
        while (!token.empty() && (token.back() == ' ' || token.back() == '\t')) token.remove_suffix(1);
        if (equals_ignoring_case(token, "close")) {
            saw_close_ = true;
        } else if (equals_ignoring_case(token, "keep-alive")) {
            saw_keep_alive_ = true;
        } else if (!token.empty()) {
            connection_names_.push_back(token);
        }
        start = end + 1;
    }
}

/// What only the whole head tells. False: malformed.
template <bool isRequest>
bool HttpParser<isRequest>::finish_head() {
    Error error;
    head_.bytes = parsed_;
    for (HttpField& field : head_.fields) {
        for (const std::string_view name : connection_names_) {
            // Content-Length and Host frame and route the message: a Connection field cannot take them away.
            if (equals_ignoring_case(field.name, name) && !equals_ignoring_case(name, "Content-Length") &&
                !equals_ignoring_case(name, "Host")) {
                field.hop_by_hop = true;
            }
        }
    }
    head_.keep_alive = !saw_close_ && (head_.http11 || saw_keep_alive_);
    if (has_coding_) {
        head_.framing = BodyFraming::chunked;
    } else if (has_length_) {
        head_.framing = BodyFraming::length;
    }
    if constexpr (isRequest) {
        if (head_.http11 && !head_.has_host) refuse(error, 400, "Host is missing");
        if (head_.method == "CONNECT" || head_.method == "TRACE") refuse(error, 501, "the method CONNECT or TRACE");
        reduce_target();
        if (head_.target.empty() ||
            (head_.target.front() != '/' && !(head_.target == "*" && head_.method == "OPTIONS"))) {
            refuse(error, 400, "the request target is not a path");
        }
    } else {
        if (head_.status == 101) refuse(error, 502, "it switches protocols, which nobody asked for");
        if (!body_expected_ || head_.status / 100 == 1 || head_.status == 204 || head_.status == 304) {
            head_.framing = BodyFraming::none;
        } else if (!has_coding_ && !has_length_) {
            head_.framing = BodyFraming::until_close;
        }
    }
    return !error;
}

template <bool isRequest>
void HttpParser<isRequest>::reduce_target() {
    static constexpr std::string_view kScheme = "http://";
    if (head_.target.size() <= kScheme.size() || !equals_ignoring_case(head_.target.substr(0, kScheme.size()), kScheme))
        return;
    const std::size_t path = head_.target.find('/', kScheme.size());
    const std::string_view authority = head_.target.substr(kScheme.size(), path - kScheme.size());
    if (path != std::string_view::npos && !authority.empty() && is_host(authority)) head_.target.remove_prefix(path);
}

template <bool isRequest>
void HttpParser<isRequest>::on_chunk_header_impl(std::uint64_t, View extensions, Error& error) {
    // Beast reads quoted strings over control characters, and does not ask for their end (RFC 9112 7.1.1).
    bool quoted = false;
    for (std::size_t i = 0; i < extensions.size(); ++i) {
        if (!is_value_character(extensions[i])) return refuse(error, 400, "control character in a chunk extension");
        if (quoted && extensions[i] == '\\') {
            ++i;
            if (i == extensions.size() || !is_value_character(extensions[i]))
                return refuse(error, 400, "control character in a chunk extension");
        } else if (extensions[i] == '"') {
            quoted = !quoted;
        }
    }
    if (quoted) refuse(error, 400, kOpenQuote);
}

template <bool isRequest>
std::size_t HttpParser<isRequest>::on_body_impl(View body, Error&) {
    const std::size_t taken = sink_->take_body(view(body));
    blocked_ = taken < body.size();
    return taken;
}

template <bool isRequest>
std::size_t HttpParser<isRequest>::on_chunk_body_impl(std::uint64_t, View body, Error& error) {
    return on_body_impl(body, error);
}

template class HttpParser<true>;
template class HttpParser<false>;

}  // namespace brokerd
