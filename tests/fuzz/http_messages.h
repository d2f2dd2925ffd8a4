#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/letter_case.h"
#include "daemon/http/body_parser.h"
#include "daemon/http/characters.h"
#include "daemon/http/head_parser.h"
#include "tests/fuzz/checks.h"

/// Reading messages of HTTP/1.1 as a stream that comes in pieces, and what must hold for each that is accepted.
namespace brokerd::fuzz {

struct CollectedBody final : BodySink {
    std::size_t take_body(std::string_view piece) override {
        bytes.append(piece);
        return piece.size();
    }
    std::string bytes;
};

enum class MessageKind { request, response, response_to_head };

/// What became of one message.
struct ReadMessage {
    ParseStatus head_status = ParseStatus::need_more;
    ParseStatus body_status = ParseStatus::need_more;  ///< where the head is done
    HttpHead head;                                     ///< views into the bytes that were read
    std::string body;
    std::size_t used = 0;  ///< of the bytes, where the head is done
    bool may_end_here = false;
    unsigned refusal = 0;  ///< the status for a malformed one

    [[nodiscard]] bool is_done() const noexcept {
        return head_status == ParseStatus::done && body_status == ParseStatus::done;
    }
};

/// Reads the message at the front of `bytes`, of which `next_piece(left)` more come each time.
template <class NextPiece>
ReadMessage read_message(std::string_view bytes, MessageKind kind, NextPiece next_piece) {
    ReadMessage read;
    HeadParser parser;
    std::size_t come = 0;
    const auto more = [&] { return come += next_piece(bytes.size() - come); };
    while (read.head_status == ParseStatus::need_more && come < bytes.size()) {
        const std::string_view so_far = bytes.substr(0, more());
        read.head_status = kind == MessageKind::request
                               ? parser.parse_request(so_far, read.head)
                               : parser.parse_response(so_far, read.head, kind == MessageKind::response);
    }
    if (read.head_status == ParseStatus::malformed) read.refusal = parser.problem().status;
    if (read.head_status != ParseStatus::done) return read;
    read.used = read.head.bytes;
    CollectedBody sink;
    BodyParser body;
    body.start(read.head);
    for (;;) {
        std::size_t used = 0;
        read.body_status = body.parse(bytes.substr(read.used, come - read.used), sink, used);
        read.used += used;
        expect(read.used <= come, "no parser uses bytes that have not come");
        if (read.body_status != ParseStatus::need_more) break;
        expect(read.used == come, "a parser that needs more has used all that came");
        if (come == bytes.size()) break;
        more();
    }
    read.body = std::move(sink.bytes);
    read.may_end_here = body.may_end_here();
    if (read.body_status == ParseStatus::malformed) read.refusal = body.problem().status;
    return read;
}

inline bool same_fields(const HttpHead& a, const HttpHead& b) {
    return std::equal(a.fields.begin(), a.fields.end(), b.fields.begin(), b.fields.end(),
                      [](const HttpField& one, const HttpField& other) {
                          return one.line == other.line && one.name == other.name && one.value == other.value &&
                                 one.kind == other.kind;
                      });
}

inline void expect_same(const ReadMessage& whole, const ReadMessage& pieces) {
    // What cannot become a head is refused line by line: of a line that has not ended, earlier or later.
    const auto is_refused = [](const ReadMessage& read) {
        return read.head_status == ParseStatus::malformed || read.head_status == ParseStatus::need_more;
    };
    expect(whole.head_status == pieces.head_status || (is_refused(whole) && is_refused(pieces)),
           "a head is read alike, whole and in pieces");
    if (whole.head_status != ParseStatus::done) return;
    const HttpHead& a = whole.head;
    const HttpHead& b = pieces.head;
    expect(a.method == b.method && a.target == b.target && a.status == b.status && a.reason == b.reason &&
               a.http11 == b.http11 && a.keep_alive == b.keep_alive && a.framing == b.framing && a.length == b.length &&
               a.bytes == b.bytes && a.expects_continue == b.expects_continue && same_fields(a, b),
           "a head means the same, whole and in pieces");
    expect(whole.body_status == pieces.body_status && whole.body == pieces.body && whole.used == pieces.used &&
               whole.may_end_here == pieces.may_end_here,
           "a body is the same, whole and in pieces");
}

/// Reads it whole, byte by byte and cut at random places: always the same, or the process ends.
inline ReadMessage read_in_all_ways(std::string_view bytes, MessageKind kind) {
    ReadMessage whole = read_message(bytes, kind, [](std::size_t left) { return left; });
    // Byte by byte is quadratic in a head's lines: that is for short ones.
    if (bytes.size() <= 512) expect_same(whole, read_message(bytes, kind, [](std::size_t) { return std::size_t{1}; }));
    Cuts cuts{bytes};
    expect_same(whole, read_message(bytes, kind, [&](std::size_t left) { return cuts.next(left); }));
    return whole;
}

inline std::size_t count_fields(const HttpHead& head, std::string_view lower_name) {
    return static_cast<std::size_t>(std::count_if(head.fields.begin(), head.fields.end(), [&](const HttpField& field) {
        return equals_ignoring_case(field.name, lower_name);
    }));
}

inline const HttpField* find_field(const HttpHead& head, std::string_view lower_name) {
    const auto found = std::find_if(head.fields.begin(), head.fields.end(), [&](const HttpField& field) {
        return equals_ignoring_case(field.name, lower_name);
    });
    return found == head.fields.end() ? nullptr : &*found;
}

/// RFC 9112 2.2, 5 and 6, read off the bytes themselves: line ends, names, values, and one framing only.
inline void expect_strict_head(const HttpHead& head, std::string_view bytes) {
    const std::string_view text = bytes.substr(0, head.bytes);
    expect(head.bytes <= kMaxHeadBytes && head.fields.size() <= kMaxFields, "a head keeps to its limits");
    expect(text.ends_with("\r\n\r\n"), "a head ends with an empty line", text);
    for (std::size_t at = 0; at < text.size(); ++at) {
        const char c = text[at];
        if (c == '\r') expect(text[at + 1] == '\n', "no CR stands alone in a head", text);
        if (c == '\n') expect(at > 0 && text[at - 1] == '\r', "no LF stands alone in a head", text);
        expect(c == '\r' || c == '\n' || c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f),
               "no control character stands in a head", text);
    }
    for (const HttpField& field : head.fields) {
        expect(!field.name.empty() && span_of(field.name, kTokenCharacter) == field.name.size(),
               "a field's name is a token", field.line);
        expect(field.line.starts_with(std::string{field.name} + ':'), "nothing stands between name and colon",
               field.line);
        expect(trim_blanks(field.value) == field.value, "a value has no blanks around it", field.line);
    }
    const std::size_t lengths = count_fields(head, "content-length");
    const std::size_t codings = count_fields(head, "transfer-encoding");
    expect(lengths + codings <= 1, "a message says once how long it is", text);
    if (const HttpField* const length = find_field(head, "content-length")) {
        expect(!length->value.empty() && std::all_of(length->value.begin(), length->value.end(), is_digit),
               "a length is digits", length->value);
        if (head.framing == BodyFraming::length) {
            std::string digits{length->value};
            digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size() - 1));
            expect(std::to_string(head.length) == digits, "a length is what it says", length->value);
        }
    }
    if (const HttpField* const coding = find_field(head, "transfer-encoding"))
        expect(equals_ignoring_case(coding->value, "chunked"), "a coding is chunked", coding->value);
}

/// The body once more in chunks, read again.
inline void expect_body_survives(std::string_view chunks, std::string_view body) {
    CollectedBody sink;
    BodyParser parser;
    parser.start(BodyFraming::chunked, 0);
    std::size_t used = 0;
    const ParseStatus status = parser.parse(chunks, sink, used);
    expect(status == ParseStatus::done && used == chunks.size() && sink.bytes == body,
           "a body that is forwarded in chunks is the same");
}

}  // namespace brokerd::fuzz
