// Answers of plugins and registries, and what an engine gets of them: daemon/http, daemon/proxy/message_writer.h. The
// first byte tells whether the request was HEAD, and how the client is answered.
#include "daemon/proxy/message_writer.h"
#include "tests/fuzz/checks.h"
#include "tests/fuzz/http_messages.h"

namespace brokerd::fuzz::http_response_target {
namespace {

void expect_response(const HttpHead& head, std::string_view bytes, MessageKind kind) {
    expect_strict_head(head, bytes);
    expect(head.status >= 100 && head.status < 600, "an answer has a status");
    if (kind == MessageKind::response_to_head || head.status < 200 || head.status == 204 || head.status == 304)
        expect(head.framing == BodyFraming::none, "what has no body announces none (RFC 9112 6.3)");
    if (find_field(head, "transfer-encoding") != nullptr && head.framing != BodyFraming::none)
        expect(head.framing == BodyFraming::chunked, "a body has the framing that its fields say");
}

/// How a body may be framed for this client: answer_writer.cpp chooses among these.
AnswerFraming framing_for(const HttpHead& head, char choice) {
    AnswerFraming framing;
    framing.body = head.framing;
    framing.client_http11 = (choice & 2) != 0;
    framing.close = (choice & 4) != 0;
    if (head.framing == BodyFraming::until_close && framing.client_http11) framing.body = BodyFraming::chunked;
    if (head.framing == BodyFraming::chunked && !framing.client_http11) framing.body = BodyFraming::until_close;
    if ((choice & 8) != 0 && head.framing != BodyFraming::none) {
        framing.body = BodyFraming::length;
        framing.new_length = 7;
    }
    if (framing.body == BodyFraming::until_close) framing.close = true;
    return framing;
}

void expect_forwarded(const HttpHead& head, char choice, MessageKind kind) {
    BlockPool pool;
    ByteQueue out{pool};
    const AnswerFraming framing = framing_for(head, choice);
    write_response_head(out, head, framing);
    HeadParser parser;
    HttpHead got;
    const std::string_view sent = out.bytes();
    expect(parser.parse_response(sent, got, kind == MessageKind::response) == ParseStatus::done &&
               got.bytes == sent.size(),
           "an engine gets one well-formed head", sent);
    expect_response(got, sent, kind);
    expect(got.status == head.status && got.framing == framing.body, "an engine gets the same answer", sent);
    if (framing.new_length) expect(got.length == *framing.new_length, "an engine gets the new length", sent);
    for (const HttpField& field : head.fields) {
        if (field.kind != FieldKind::hop_by_hop) continue;
        expect(count_fields(got, field.name) == 0, "an engine gets no field of another connection", sent);
    }
}

}  // namespace

void try_input(std::string_view input) {
    if (input.empty()) return;
    const char choice = input.front();
    input.remove_prefix(1);
    const MessageKind kind = (choice & 1) != 0 ? MessageKind::response_to_head : MessageKind::response;
    const ReadMessage read = read_in_all_ways(input, kind);
    if (read.head_status != ParseStatus::done) return;
    expect_response(read.head, input, kind);
    if (read.head.fields.size() + 4 <= kMaxFields && read.head.bytes + kHeadSlack <= kMaxHeadBytes)
        expect_forwarded(read.head, choice, kind);
    if (read.is_done() && read.head.framing == BodyFraming::length)
        expect(read.body.size() == read.head.length, "a body is as long as it was said to be");
}

}  // namespace brokerd::fuzz::http_response_target
