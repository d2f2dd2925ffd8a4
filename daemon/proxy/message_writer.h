#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/http/http_head.h"
#include "daemon/proxy/route.h"
#include "daemon/stream/byte_queue.h"

namespace brokerd {

/// What a writer needs at most beyond the head it rewrites: a start line, Host, Via, framing and connection fields.
inline constexpr std::size_t kHeadSlack = 2048;
/// What ends or delimits one piece of a chunked body: two CRLFs, 16 hex digits, and the last chunk.
inline constexpr std::size_t kChunkSlack = 32;

/// The request as the plugin gets it: hop-by-hop fields removed, Host and framing our own (RFC 9110 7.6, RFC 9112 6).
/// Precondition: `out` has room for the head and kHeadSlack.
void write_request_head(ByteQueue& out, const HttpHead& request, const Target& target);

/// Whether the request has come through so many brokerds, by its Via, that its definitions lead in a circle: from one
/// published socket to another and back. Each of them looks well by itself, and the call would go round for ever.
[[nodiscard]] bool goes_in_a_circle(const HttpHead& request);

/// How an answer's body is delimited for a client, and whether the connection goes on after it.
struct AnswerFraming {
    BodyFraming body = BodyFraming::none;  ///< length: the field is forwarded as it came
    bool client_http11 = true;
    bool close = false;
    std::optional<std::uint64_t> new_length{};  ///< the body is not the one that the head announced, but this long
};

/// The answer as the client gets it. Same precondition.
void write_response_head(ByteQueue& out, const HttpHead& response, const AnswerFraming& framing);

/// Appends as much of `piece` as fits, leaving kChunkSlack; as a chunk where `chunked`. Returns how much that was.
[[nodiscard]] std::size_t write_body(ByteQueue& out, std::string_view piece, bool chunked);
void write_last_chunk(ByteQueue& out);

/// An answer of the broker itself. `head_only`: for HEAD, the body is announced but not sent.
struct LocalAnswer {
    unsigned status = 200;
    std::string body;  ///< JSON
    bool client_http11 = true;
    bool close = false;
    bool head_only = false;
};
/// At most 8 KiB of body are written.
void write_local_answer(ByteQueue& out, const LocalAnswer& answer);

/// {"Err": "…"}, as engines expect errors of plugins (Docker Plugin API, every method's response).
[[nodiscard]] std::string error_body(std::string_view message);

}  // namespace brokerd
