#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "daemon/http/http_head.h"

namespace brokerd {

/// Where a parser hands a message's body, without its framing.
class BodySink {
public:
    /// Takes as much of `piece` as it has room for, and says how much that was.
    virtual std::size_t take_body(std::string_view piece) = 0;

protected:
    ~BodySink() = default;
};

/// Finds the end of a body (RFC 9112 6 and 7), as strictly as HeadParser. Chunk extensions and trailers are checked and
/// dropped (RFC 9112 7.1.1, RFC 9110 6.5.1 allow both). Holds a few bytes of state and none of the body.
/// Thread: any, one at a time.
class BodyParser {
public:
    /// Starts on the body that `head` announces.
    void start(const HttpHead& head) noexcept { start(head.framing, head.length); }
    void start(BodyFraming framing, std::uint64_t length) noexcept;

    /// Parses what follows what was used before, and feeds the sink; `used` says how far it got. Never need_more with
    /// bytes left unused.
    [[nodiscard]] ParseStatus parse(std::string_view bytes, BodySink& sink, std::size_t& used);

    /// How many of the next bytes are body and nothing else, as far as is known.
    [[nodiscard]] std::uint64_t plain_bytes() const noexcept {
        return state_ == State::data || state_ == State::plain ? left_ : 0;
    }
    /// `count` of plain_bytes() went past the parser.
    void skip(std::uint64_t count) noexcept;

    [[nodiscard]] bool is_done() const noexcept { return state_ == State::done; }
    /// Whether the message is complete if nothing more comes.
    [[nodiscard]] bool may_end_here() const noexcept { return is_done() || until_close_; }
    [[nodiscard]] const HttpProblem& problem() const noexcept { return problem_; }

private:
    enum class State : std::uint8_t {
        plain,  ///< body bytes, `left_` of them
        // Within a chunk's first line (RFC 9112 7.1):
        size_start,
        size,
        extension_end,  ///< blanks behind the size or behind a value: only another extension may follow
        name_start,
        name,
        name_end,  ///< blanks behind a name
        value_start,
        value,
        quoted,          ///< within a quoted string
        quoted_pair,     ///< behind a backslash in it
        quoted_end,      ///< behind its closing quote
        size_line_feed,  ///< the CR of the line has come
        data,            ///< chunk data, `left_` bytes
        data_return,     ///< the CR behind them
        data_line_feed,  ///< … and the LF
        // Behind the last chunk (RFC 9112 7.1.2):
        trailer_start,
        trailer_name,
        trailer_value,
        trailer_line_feed,
        end_line_feed,
        done,
        failed,
    };

    void step(char c);
    void step_in_size_line(char c);
    void step_in_extension(char c);
    void end_extension(char c);
    void step_in_trailer(char c);
    void end_size_line();
    void refuse(unsigned status, const char* text) noexcept;

    State state_ = State::done;
    bool until_close_ = false;
    std::uint8_t size_digits_ = 0;
    std::uint16_t trailer_fields_ = 0;
    std::uint32_t line_bytes_ = 0;  ///< of a chunk's first line, or of all trailers
    std::uint64_t left_ = 0;
    HttpProblem problem_;
};

}  // namespace brokerd
