#pragma once

#include <cstddef>
#include <string_view>

#include "daemon/http/http_head.h"

namespace brokerd {

/// A strict parser of HTTP/1.1 heads: what RFC 9112 forbids is refused, and there is no lenient mode. It keeps nothing
/// of the message but how far it has looked, so an idle connection costs a few bytes, and it allocates nothing once the
/// HttpHead has grown. One object parses one head; reset() starts the next. Thread: any, one at a time.
class HeadParser {
public:
    /// Both take what has come of the message, from its first byte, in every call. `done`: `head` is filled.
    /// `malformed`: problem() says why. What has not all come is refused as soon as it cannot become valid, line by
    /// line. Cost: linear in `bytes` for each line that has come since the last call.
    [[nodiscard]] ParseStatus parse_request(std::string_view bytes, HttpHead& head);
    /// `body_expected`: false for the answer to HEAD, which has no body whatever its fields say (RFC 9112 6.3).
    [[nodiscard]] ParseStatus parse_response(std::string_view bytes, HttpHead& head, bool body_expected);

    void reset() noexcept { looked_at_ = 0; }
    [[nodiscard]] const HttpProblem& problem() const noexcept { return problem_; }

private:
    [[nodiscard]] ParseStatus parse(std::string_view bytes, HttpHead& head, std::size_t start, bool in_request,
                                    bool body_expected);
    [[nodiscard]] ParseStatus incomplete(std::string_view bytes) noexcept;
    bool refuse(unsigned status, const char* text) noexcept;
    void refuse_at_end(unsigned status, const char* text) noexcept;
    bool parse_request_line(std::string_view line, HttpHead& head);
    bool parse_status_line(std::string_view line, HttpHead& head);
    bool parse_field(std::string_view line, HttpHead& head, bool in_request);
    bool note_meaning(const HttpField& field, HttpHead& head);
    bool note_length(std::string_view value, HttpHead& head);
    bool note_coding(std::string_view value, const HttpHead& head);
    bool note_connection(std::string_view value, HttpHead& head);
    [[nodiscard]] bool settle(HttpHead& head) const;
    bool finish_request(HttpHead& head);
    bool finish_response(HttpHead& head, bool body_expected);

    std::size_t looked_at_ = 0;  ///< of an incomplete head
    bool has_length_ = false;
    bool has_coding_ = false;
    bool saw_close_ = false;
    bool saw_keep_alive_ = false;
    bool unsupported_ = false;  ///< well-formed, but asks for what nobody here can do
    HttpProblem problem_;
};

}  // namespace brokerd
