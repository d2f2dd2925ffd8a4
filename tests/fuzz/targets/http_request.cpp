// Requests of engines, and what a plugin gets of them: daemon/http, daemon/proxy/message_writer.h.
#include "daemon/proxy/message_writer.h"
#include "tests/fuzz/checks.h"
#include "tests/fuzz/http_messages.h"

namespace brokerd::fuzz::http_request_target {
namespace {

void expect_request(const HttpHead& head, std::string_view bytes) {
    expect_strict_head(head, bytes);
    expect(span_of(head.method, kTokenCharacter) == head.method.size() && !head.method.empty(), "a method is a token",
           head.method);
    expect(head.target.starts_with('/') && span_of(head.target, kTargetCharacter) == head.target.size(),
           "a target is a path", head.target);
    const std::size_t hosts = count_fields(head, "host");
    expect(hosts <= 1 && (hosts == 1 || !head.http11), "a request of HTTP/1.1 has one Host");
    const bool is_chunked = find_field(head, "transfer-encoding") != nullptr;
    const bool has_length = find_field(head, "content-length") != nullptr;
    expect(head.framing != BodyFraming::until_close && (head.framing == BodyFraming::chunked) == is_chunked &&
               (head.framing != BodyFraming::length || has_length),
           "a request's body has the framing that its fields say");
}

/// What the plugin gets is one strict request that means the same, without the fields of the client's connection.
void expect_forwarded(const ReadMessage& read) {
    BlockPool pool;
    ByteQueue out{pool};
    Target target;
    target.host_header = "plugin:80";
    write_request_head(out, read.head, target);
    const std::string_view sent = out.bytes();
    HeadParser parser;
    HttpHead head;
    expect(parser.parse_request(sent, head) == ParseStatus::done && head.bytes == sent.size(),
           "a plugin gets one well-formed head", sent);
    expect_request(head, sent);
    expect(head.method == read.head.method && head.target == read.head.target, "a plugin gets the same call", sent);
    expect(head.framing == read.head.framing && head.length == read.head.length, "a plugin gets the same framing",
           sent);
    const HttpField* const host = find_field(head, "host");
    expect(host != nullptr && host->value == target.host_header, "a plugin gets a Host of ours", sent);
    for (const HttpField& field : read.head.fields) {
        // The next hop's own framing, Host and Via are not the ones that came.
        const auto is = [&](std::string_view name) { return equals_ignoring_case(field.name, name); };
        if (field.kind < FieldKind::hop_by_hop || is("transfer-encoding") || is("via") || is("host")) continue;
        expect(count_fields(head, field.name) == 0, "a plugin gets no field of another connection", sent);
    }
    for (const std::string_view option : read.head.connection_options) {
        const HttpField* const named = find_field(head, option);
        expect(named == nullptr || named->kind == FieldKind::host || named->kind == FieldKind::content_length ||
                   named->kind == FieldKind::transfer_encoding || named->kind == FieldKind::expect ||
                   named->kind == FieldKind::via,
               "a plugin gets no field that Connection names", sent);
    }
    if (!read.is_done() || read.head.framing != BodyFraming::chunked) return;
    out.clear();
    std::string chunks;
    for (std::string_view left = read.body; !left.empty(); out.clear()) {
        const std::size_t count = write_body(out, left, true);
        expect(count > 0, "an empty queue takes some of a body");
        left.remove_prefix(count);
        chunks += out.bytes();
    }
    write_last_chunk(out);
    expect_body_survives(chunks + std::string{out.bytes()}, read.body);
}

}  // namespace

void try_input(std::string_view input) {
    const ReadMessage read = read_in_all_ways(input, MessageKind::request);
    if (read.refusal != 0) expect(read.refusal >= 400 && read.refusal < 600, "a refusal has a status");
    if (read.head_status != ParseStatus::done) return;
    expect_request(read.head, input);
    // With what a proxy adds it could be more than our own parser takes.
    if (read.head.fields.size() + 4 <= kMaxFields && read.head.bytes + kHeadSlack <= kMaxHeadBytes)
        expect_forwarded(read);
    if (read.is_done() && read.head.framing == BodyFraming::length)
        expect(read.body.size() == read.head.length, "a body is as long as it was said to be");
}

}  // namespace brokerd::fuzz::http_request_target
