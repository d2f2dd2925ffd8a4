#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "common/os/unique_fd.h"
#include "daemon/http/body_parser.h"

namespace brokerd {

/// Moves a request's body from its connection into a job's pipe, without its framing.
/// Thread: the server's. No call blocks.
class BodyPump final : BodySink {
public:
    enum class Step {
        moved,      ///< there may be more at once
        starved,    ///< nothing has arrived
        full,       ///< the pipe has no room
        whole,      ///< the body is over, all of it is in the pipe
        cut_off,    ///< the connection ended before the body
        malformed,  ///< see problem()
        unwanted,   ///< nobody reads the pipe any more
        failed,     ///< the connection
    };

    explicit BodyPump(BodyParser body) noexcept : body_{body} {}

    /// Whether the body has ended, be it read or not.
    [[nodiscard]] bool is_done() const noexcept { return body_.is_done(); }
    /// How much of it is in the pipe, or has been.
    [[nodiscard]] std::uint64_t moved() const noexcept { return moved_; }
    [[nodiscard]] const HttpProblem& problem() const noexcept { return body_.problem(); }

    /// From here on there is a pipe: its writing end, non-blocking.
    void open(UniqueFd pipe) noexcept { pipe_ = std::move(pipe); }
    [[nodiscard]] bool is_open() const noexcept { return static_cast<bool>(pipe_); }
    [[nodiscard]] int descriptor() const noexcept { return pipe_.get(); }
    void close() noexcept { pipe_.reset(); }

    /// One piece: first what `input` holds, then what `socket` has, through `buffer`. What the pipe does not take, and
    /// what lies behind the body, is left in `input`. Precondition: open, and not done.
    [[nodiscard]] Step move(int socket, std::string& input, std::span<char> buffer);

private:
    std::size_t take_body(std::string_view piece) override;
    [[nodiscard]] Step feed(std::string_view bytes, std::size_t& used);

    BodyParser body_;
    UniqueFd pipe_;
    std::uint64_t moved_ = 0;
    bool unwanted_ = false;
};

}  // namespace brokerd
