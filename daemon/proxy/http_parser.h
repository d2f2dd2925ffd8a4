#pragma once

#include <boost/beast/http/basic_parser.hpp>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace brokerd {

/// Ours, as HAProxy and nginx bound theirs: a head beyond this is an attack or a mistake (431).
inline constexpr std::size_t kMaxHeadBytes = std::size_t{32} << 10;
/// Ours: fields in one head, and in one trailer.
inline constexpr std::size_t kMaxFields = 128;

/// One field line. Views into the bytes that were parsed.
struct HttpField {
    std::string_view name;
    std::string_view value;
    bool hop_by_hop = false;  ///< RFC 9110 7.6.1: for this connection only, not to be forwarded
};

/// How the end of a body is found (RFC 9112 6.3).
enum class BodyFraming : std::uint8_t { none, length, chunked, until_close };

/// The head of a request or a response. Views into the bytes that were parsed: valid until those move or go.
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
    std::size_t bytes = 0;  ///< the whole head's, as it came
};

/// Where a parser hands a message's body, without its framing.
class BodySink {
public:
    /// Takes as much of `piece` as it has room for, and says how much that was.
    virtual std::size_t take_body(std::string_view piece) = 0;

protected:
    ~BodySink() = default;
};

/// A strict HTTP/1.1 message parser: Boost.Beast's basic_parser finds the tokens; what it tolerates and RFC 9112
/// forbids is refused here. There is no lenient mode. One object parses one message. Thread: one proxy thread's.
template <bool isRequest>
class HttpParser final : private boost::beast::http::basic_parser<isRequest> {
    using Base = boost::beast::http::basic_parser<isRequest>;

public:
    enum class Status : std::uint8_t {
        need_more,  ///< all was used, or a part is kept back that is too short to judge
        blocked,    ///< the sink has no room
        done,       ///< head: complete. body: the message is complete
        malformed,  ///< problem() and problem_status() say why; nothing after it can be trusted
    };

    HttpParser() {
        this->header_limit(static_cast<std::uint32_t>(kMaxHeadBytes));
        // Not boost::none, which Beast 1.74 takes for a limit below every Content-Length.
        this->body_limit(std::numeric_limits<std::uint64_t>::max());
    }

    /// Parses the head at the start of `bytes`, which must begin with the message's first byte in every call and must
    /// not have moved since the last. `done`: head() is filled, and head_bytes() of `bytes` were used.
    Status parse_head(std::string_view bytes);
    /// Parses body bytes behind the head (behind what was used before) and feeds the sink; `used` says how far it got.
    Status parse_body(std::string_view bytes, BodySink& sink, std::size_t& used);
    /// The peer has finished sending: whether that completes the message.
    [[nodiscard]] bool finish_at_end();

    [[nodiscard]] const HttpHead& head() const noexcept { return head_; }
    [[nodiscard]] std::size_t head_bytes() const noexcept { return parsed_; }
    [[nodiscard]] const std::string& problem() const noexcept { return problem_; }
    /// The status that a server answers such a request with.
    [[nodiscard]] unsigned problem_status() const noexcept { return problem_status_; }

    /// A response to HEAD has no body whatever its fields say (RFC 9112 6.3). Before parse_head.
    void expect_no_body() {
        this->skip(true);
        body_expected_ = false;
    }

private:
    using Error = boost::beast::error_code;
    using View = boost::beast::string_view;

    void refuse(Error& error, unsigned status, std::string problem);
    void check_field(std::string_view name, std::string_view value, Error& error);
    void check_framing_fields(std::string_view name, std::string_view value, Error& error);
    void note_connection(std::string_view value);
    bool finish_head();
    void reduce_target();
    Status failed(const Error& error);

    // boost::beast::http::basic_parser's events
    void on_request_impl(boost::beast::http::verb, View method, View target, int version, Error& error) override;
    void on_response_impl(int code, View reason, int version, Error& error) override;
    void on_field_impl(boost::beast::http::field, View name, View value, Error& error) override;
    void on_header_impl(Error&) override {}
    void on_body_init_impl(const boost::optional<std::uint64_t>&, Error&) override {}
    std::size_t on_body_impl(View body, Error& error) override;
    void on_chunk_header_impl(std::uint64_t, View extensions, Error& error) override;
    std::size_t on_chunk_body_impl(std::uint64_t, View body, Error& error) override;
    void on_finish_impl(Error&) override {}

    HttpHead head_;
    std::string_view bytes_;  ///< what the present call parses
    std::size_t parsed_ = 0;
    bool head_done_ = false;
    bool body_expected_ = true;
    BodySink* sink_ = nullptr;
    bool blocked_ = false;
    bool kept_back_ = false;  ///< part of a chunk's header was too short to judge
    bool has_length_ = false;
    bool has_coding_ = false;
    bool saw_close_ = false;
    bool saw_keep_alive_ = false;
    std::size_t trailer_fields_ = 0;
    std::vector<std::string_view> connection_names_;
    std::string problem_;
    unsigned problem_status_ = 400;
};

using HttpRequestParser = HttpParser<true>;
using HttpResponseParser = HttpParser<false>;

extern template class HttpParser<true>;
extern template class HttpParser<false>;

}  // namespace brokerd
