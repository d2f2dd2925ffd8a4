#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace brokerd {

/// Ours, as HAProxy and nginx bound theirs: a head beyond this is an attack or a mistake (431).
inline constexpr std::size_t kMaxHeadBytes = std::size_t{32} << 10;
/// Ours: fields in one head, and in one trailer.
inline constexpr std::size_t kMaxFields = 128;

/// What a field means to a proxy; decided once, when it is parsed.
enum class FieldKind : std::uint8_t {
    end_to_end,  ///< forwarded as it came, like the next two
    content_length,
    via,
    host,        ///< in requests
    expect,      ///< in requests
    hop_by_hop,  ///< for this connection only (RFC 9110 7.6.1), or named by Connection; like the next two
    connection,
    transfer_encoding,
};

/// One field line. Views into the bytes that were parsed.
struct HttpField {
    std::string_view line;  ///< as it came, with its CRLF
    std::string_view name;
    std::string_view value;  ///< without the blanks around it
    FieldKind kind = FieldKind::end_to_end;
};

/// How the end of a body is found (RFC 9112 6.3).
enum class BodyFraming : std::uint8_t { none, length, chunked, until_close };

/// The head of a request or a response. Views into the bytes that were parsed: valid until those move or go. One object
/// may be filled again and again: it keeps its memory.
struct HttpHead {
    // Requests:
    std::string_view method;
    std::string_view target;  ///< origin-form; an absolute-form target is reduced to it (RFC 9112 3.2.2)
    bool expects_continue = false;
    bool has_host = false;
    // Responses:
    unsigned status = 0;
    std::string_view reason;
    // Both:
    bool http11 = false;      ///< HTTP/1.1; otherwise 1.0
    bool keep_alive = false;  ///< what the message says of its connection (RFC 9112 9.3)
    BodyFraming framing = BodyFraming::none;
    std::uint64_t length = 0;  ///< for BodyFraming::length
    std::vector<HttpField> fields;
    std::vector<std::string_view> connection_options;  ///< what Connection names, besides close and keep-alive
    std::size_t bytes = 0;                             ///< the whole head's, as it came, with its empty line
};

/// Why a message is malformed, and the status that a server answers such a request with. The text is static.
struct HttpProblem {
    unsigned status = 400;
    const char* text = "";
};

enum class ParseStatus : std::uint8_t {
    need_more,  ///< all is well so far
    blocked,    ///< a body's sink has no room
    done,       ///< the head, or the message, is complete
    malformed,  ///< nothing after this can be trusted
};

}  // namespace brokerd
