#include "daemon/http/head_parser.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

#include "daemon/http/authority.h"
#include "daemon/http/characters.h"

namespace brokerd {
namespace {

/// So much of a first line is looked at before its end has come: enough to tell HTTP from anything else.
constexpr std::size_t kTellingBytes = 64;
constexpr std::string_view kHttp1 = "HTTP/1.";

/// "HTTP/1.1" or "HTTP/1.0".
bool is_version(std::string_view text) {
    return text.size() == 8 && text.starts_with(kHttp1) && (text[7] == '1' || text[7] == '0');
}

/// RFC 9110 7.6.1 names those that a proxy must know without being told by Connection.
FieldKind kind_of(std::string_view name, bool in_request) {
    const auto is = [name](std::string_view lower) { return equals_lower(name, lower); };
    const auto kind_if = [](bool matches, FieldKind kind) { return matches ? kind : FieldKind::end_to_end; };
    switch (name.size()) {
        case 2:
            return kind_if(is("te"), FieldKind::hop_by_hop);
        case 3:
            return kind_if(is("via"), FieldKind::via);
        case 4:
            return kind_if(in_request && is("host"), FieldKind::host);
        case 6:
            return kind_if(in_request && is("expect"), FieldKind::expect);
        case 7:
            return kind_if(is("upgrade") || is("trailer"), FieldKind::hop_by_hop);
        case 10:
            return is("connection") ? FieldKind::connection : kind_if(is("keep-alive"), FieldKind::hop_by_hop);
        case 14:
            return is("content-length") ? FieldKind::content_length
                                        : kind_if(is("http2-settings"), FieldKind::hop_by_hop);
        case 16:
            return kind_if(is("proxy-connection"), FieldKind::hop_by_hop);
        case 17:
            return kind_if(is("transfer-encoding"), FieldKind::transfer_encoding);
        case 18:
            return kind_if(is("proxy-authenticate"), FieldKind::hop_by_hop);
        case 19:
            return kind_if(is("proxy-authorization"), FieldKind::hop_by_hop);
        default:
            return FieldKind::end_to_end;
    }
}

void clear(HttpHead& head) {
    std::vector<HttpField> fields = std::move(head.fields);
    std::vector<std::string_view> options = std::move(head.connection_options);
    fields.clear();
    options.clear();
    head = {};
    head.fields = std::move(fields);
    head.connection_options = std::move(options);
}

/// Whether an incomplete first line can still become that of a message.
bool can_be_start(std::string_view line, bool in_request) {
    const std::string_view telling = line.substr(0, kTellingBytes);
    if (!in_request) return telling.substr(0, kHttp1.size()) == kHttp1.substr(0, telling.size());
    const std::size_t token = span_of(telling, kTokenCharacter);
    return token == telling.size() || (token > 0 && telling[token] == ' ') || telling == "\r";
}

}  // namespace

bool HeadParser::refuse(unsigned status, const char* text) noexcept {
    problem_ = {status, text};
    return false;
}

/// For what is wrong only if the rest of the head is right: what is malformed goes first.
void HeadParser::refuse_at_end(unsigned status, const char* text) noexcept {
    if (!std::exchange(unsupported_, true)) refuse(status, text);
}

ParseStatus HeadParser::parse_request(std::string_view bytes, HttpHead& head) {
    // RFC 9112 2.2: a server ignores empty lines before a request line. Bounded: only whole CRLFs, and few.
    std::size_t start = 0;
    while (start < 8 && bytes.substr(start, 2) == "\r\n") start += 2;
    return parse(bytes, head, start, true, true);
}

ParseStatus HeadParser::parse_response(std::string_view bytes, HttpHead& head, bool body_expected) {
    return parse(bytes, head, 0, false, body_expected);
}

ParseStatus HeadParser::parse(std::string_view bytes, HttpHead& head, std::size_t start, bool in_request,
                              bool body_expected) {
    if (looked_at_ >= kTellingBytes && bytes.find('\n', looked_at_) == std::string_view::npos) return incomplete(bytes);
    clear(head);
    has_length_ = has_coding_ = saw_close_ = saw_keep_alive_ = unsupported_ = false;
    bool well = true;
    bool complete = false;
    std::size_t at = start;
    while (well && !complete) {
        const std::string_view rest = bytes.substr(at);
        const void* const line_feed = rest.empty() ? nullptr : std::memchr(rest.data(), '\n', rest.size());
        if (line_feed == nullptr) {
            if (at == start && !can_be_start(rest, in_request)) {
                well = refuse(400, in_request ? "it does not begin with a method" : "it does not begin with HTTP/1.");
            } else if (const std::size_t cr = rest.find('\r'); cr != std::string_view::npos && cr + 1 < rest.size()) {
                well = refuse(400, "a CR that no LF follows");
            } else {
                return incomplete(bytes);
            }
            break;
        }
        const auto size = static_cast<std::size_t>(static_cast<const char*>(line_feed) - rest.data()) + 1;
        const std::string_view line = rest.substr(0, size);
        const bool first = at == start;
        at += size;
        if (at > kMaxHeadBytes) {
            well = refuse(431, "the head is larger than 32 KiB");
        } else if (size < 2 || line[size - 2] != '\r') {
            well = refuse(400, "a line does not end with CRLF");
        } else if (first) {
            well = in_request ? parse_request_line(line.substr(0, size - 2), head)
                              : parse_status_line(line.substr(0, size - 2), head);
        } else if (size == 2) {
            complete = true;
        } else {
            well = parse_field(line, head, in_request);
        }
    }
    if (!well) return ParseStatus::malformed;
    head.bytes = at;
    well = settle(head) && (in_request ? finish_request(head) : finish_response(head, body_expected));
    return well ? ParseStatus::done : ParseStatus::malformed;
}

ParseStatus HeadParser::incomplete(std::string_view bytes) noexcept {
    looked_at_ = bytes.size();
    if (bytes.size() < kMaxHeadBytes) return ParseStatus::need_more;
    refuse(431, "the head is larger than 32 KiB");
    return ParseStatus::malformed;
}

/// RFC 9112 3: method SP request-target SP HTTP-version
bool HeadParser::parse_request_line(std::string_view line, HttpHead& head) {
    const std::size_t method = span_of(line, kTokenCharacter);
    if (method == 0 || method == line.size() || line[method] != ' ')
        return refuse(400, "the request line does not begin with a method and one blank");
    head.method = line.substr(0, method);
    line.remove_prefix(method + 1);
    const std::size_t target = line.find(' ');
    if (target == std::string_view::npos || !is_version(line.substr(target + 1)))
        return refuse(400, "the request line does not end with HTTP/1.1 or HTTP/1.0");
    head.target = line.substr(0, target);
    if (span_of(head.target, kTargetCharacter) != target)
        return refuse(400, "the request target contains a character that a URI cannot have");
    head.http11 = line.back() == '1';
    return true;
}

/// RFC 9112 4: HTTP-version SP status-code SP [reason-phrase]
bool HeadParser::parse_status_line(std::string_view line, HttpHead& head) {
    static constexpr std::size_t kShortest = 13;  // "HTTP/1.1 200 "
    if (line.size() < kShortest || !is_version(line.substr(0, 8)) || line[8] != ' ' || line[12] != ' ')
        return refuse(502, "its first line is not an HTTP/1.1 status line");
    const std::string_view digits = line.substr(9, 3);
    if (!std::all_of(digits.begin(), digits.end(), is_digit)) return refuse(502, "the status code is not a number");
    std::from_chars(digits.data(), digits.data() + digits.size(), head.status);
    if (head.status < 100 || head.status > 599) return refuse(502, "the status code is not between 100 and 599");
    head.http11 = line[7] == '1';
    head.reason = line.substr(kShortest);
    return is_field_value(head.reason) || refuse(502, "control character in the reason phrase");
}

/// RFC 9112 5: field-name ":" OWS field-value OWS. `line` has its CRLF.
bool HeadParser::parse_field(std::string_view line, HttpHead& head, bool in_request) {
    const std::size_t name = span_of(line, kTokenCharacter);
    if (name == 0) {
        if (line[0] == ' ' || line[0] == '\t') return refuse(400, "a field value is folded over lines (obs-fold)");
        return refuse(400, "a field has no name");
    }
    if (line[name] != ':') return refuse(400, "a field name is not followed by a colon");
    HttpField field{line, line.substr(0, name), trim_blanks(line.substr(name + 1, line.size() - name - 3))};
    if (!is_field_value(field.value)) return refuse(400, "control character in a field value");
    if (head.fields.size() >= kMaxFields) return refuse(431, "more than 128 fields");
    field.kind = kind_of(field.name, in_request);
    head.fields.push_back(field);
    return field.kind == FieldKind::end_to_end || note_meaning(field, head);
}

bool HeadParser::note_meaning(const HttpField& field, HttpHead& head) {
    switch (field.kind) {
        case FieldKind::content_length:
            return note_length(field.value, head);
        case FieldKind::transfer_encoding:
            return note_coding(field.value, head);
        case FieldKind::connection:
            return note_connection(field.value, head);
        case FieldKind::host:
            if (head.has_host) return refuse(400, "more than one Host");
            head.has_host = true;
            return is_host_and_port(field.value) || refuse(400, "Host is not a host name with an optional port");
        case FieldKind::expect:
            if (!equals_lower(field.value, "100-continue"))
                refuse_at_end(417, "an expectation other than 100-continue");
            head.expects_continue = head.http11;  // RFC 9110 10.1.1: in HTTP/1.0 it is to be ignored
            return true;
        case FieldKind::end_to_end:
        case FieldKind::via:
        case FieldKind::hop_by_hop:
            return true;
    }
    return true;
}

/// RFC 9112 6.3: a list of equal lengths may be accepted or refused; it is refused.
bool HeadParser::note_length(std::string_view value, HttpHead& head) {
    if (has_length_) return refuse(400, "more than one Content-Length");
    if (has_coding_) return refuse(400, "both Content-Length and Transfer-Encoding");
    has_length_ = true;
    const char* const end = value.data() + value.size();
    const auto [stop, code] = std::from_chars(value.data(), end, head.length);
    if (value.empty() || !is_digit(value.front()) || code != std::errc{} || stop != end ||
        head.length > static_cast<std::uint64_t>(INT64_MAX)) {
        return refuse(400, "Content-Length is not one decimal number");
    }
    return true;
}

bool HeadParser::note_coding(std::string_view value, const HttpHead& head) {
    if (has_coding_) return refuse(400, "more than one Transfer-Encoding");
    if (has_length_) return refuse(400, "both Content-Length and Transfer-Encoding");
    if (!head.http11) return refuse(400, "Transfer-Encoding in an HTTP/1.0 message");
    has_coding_ = true;
    if (!equals_lower(value, "chunked")) refuse_at_end(501, "a transfer coding other than chunked");
    return true;
}

/// RFC 9110 7.6.1: a list of tokens, in which empty elements count for nothing (5.6.1.2).
bool HeadParser::note_connection(std::string_view value, HttpHead& head) {
    for (std::size_t start = 0; start <= value.size();) {
        const std::size_t end = std::min(value.find(',', start), value.size());
        const std::string_view option = trim_blanks(value.substr(start, end - start));
        if (span_of(option, kTokenCharacter) != option.size()) return refuse(400, "Connection is not a list of names");
        if (equals_lower(option, "close")) {
            saw_close_ = true;
        } else if (equals_lower(option, "keep-alive")) {
            saw_keep_alive_ = true;
        } else if (!option.empty()) {
            // Each is compared with each field: without a bound, one head of commas costs milliseconds.
            if (head.connection_options.size() >= kMaxFields)
                return refuse(431, "Connection names more than 128 fields");
            head.connection_options.push_back(option);
        }
        start = end + 1;
    }
    return true;
}

/// What only the whole head tells.
bool HeadParser::settle(HttpHead& head) const {
    for (const std::string_view option : head.connection_options) {
        for (HttpField& field : head.fields) {
            // Content-Length and Host frame and route the message, and Expect's promise is waited for: a Connection
            // field cannot take them away.
            if (field.kind == FieldKind::content_length || field.kind == FieldKind::expect ||
                equals_ignoring_case(field.name, "host"))
                continue;
            if (equals_ignoring_case(field.name, option)) field.kind = FieldKind::hop_by_hop;
        }
    }
    head.keep_alive = !saw_close_ && (head.http11 || saw_keep_alive_);
    if (has_coding_) {
        head.framing = BodyFraming::chunked;
    } else if (has_length_) {
        head.framing = BodyFraming::length;
    }
    return !unsupported_;
}

bool HeadParser::finish_request(HttpHead& head) {
    if (head.http11 && !head.has_host) return refuse(400, "Host is missing");
    if (head.method == "CONNECT" || head.method == "TRACE") return refuse(501, "the method CONNECT or TRACE");
    head.target = without_authority(head.target);
    const bool is_path = head.target.starts_with('/') || (head.target == "*" && head.method == "OPTIONS");
    return is_path || refuse(400, "the request target is not a path");
}

bool HeadParser::finish_response(HttpHead& head, bool body_expected) {
    if (head.status == 101) return refuse(502, "it switches protocols, which nobody asked for");
    if (!body_expected || head.status < 200 || head.status == 204 || head.status == 304) {
        head.framing = BodyFraming::none;
    } else if (!has_coding_ && !has_length_) {
        head.framing = BodyFraming::until_close;
    }
    return true;
}

}  // namespace brokerd
