#pragma once

#include <cstddef>
#include <cstdint>

#include "daemon/http/body_parser.h"
#include "daemon/stream/body_pipe.h"
#include "daemon/stream/channel.h"

namespace brokerd {

/// The body of a client's present request: knows where it ends and moves it to the plugin by the cheapest way that its
/// framing allows: by copy, with the block that it lies in, or through a pipe. It keeps no channel, because a request
/// may change its upstream; nor does it end anything: what went wrong is for its owner to answer.
/// Thread: one proxy thread's. Owned by its Client.
class RequestBody {
public:
    /// `pipes` outlives this object.
    explicit RequestBody(BodyPipePool& pipes) noexcept : pipe_{pipes} {}

    /// Starts on the body that `head` announces.
    void start(const HttpHead& head) noexcept;

    enum class Status : std::uint8_t {
        waits,        ///< for more to come, or for room where it goes: one of the channels will tell
        goes_on,      ///< there is more to do, but others should get their turn
        done,         ///< all of it has been handed on, its framing too
        malformed,    ///< problem() says why
        ended_early,  ///< the client stopped sending
    };
    struct Progress {
        Status status = Status::waits;
        std::size_t came = 0;   ///< bytes of the body, without their framing
        bool is_moved = false;  ///< some have come or left
    };
    /// Moves what the two channels allow without waiting, reading from the client as needed. What it leaves in `to.out`
    /// may be written later where it is done; otherwise a write has been tried. Precondition: not is_done(), the
    /// request's head has been taken out of `from.in`, and `to` is the same as before while is_held().
    [[nodiscard]] Progress move(Channel& from, Channel& to);
    /// Drops what has come of it, for a request that is not, or no longer, forwarded. True where that was the rest of
    /// it: then is_done(), and what follows is another request.
    [[nodiscard]] bool discard(ByteQueue& in);

    /// Whether it has been read, and handed on, to its end.
    [[nodiscard]] bool is_done() const noexcept { return done_; }
    /// Whether the pipe holds bytes that have come and that the plugin has not taken.
    [[nodiscard]] bool is_held() const noexcept { return pipe_.size() > 0; }
    [[nodiscard]] const HttpProblem& problem() const noexcept { return parser_.problem(); }
    /// Where nothing is to be moved any more. Idempotent.
    void give_pipe_back() { pipe_.give_back(); }

private:
    enum class Piping : std::uint8_t {
        moved,    ///< there may be more
        blocked,  ///< nothing could be
        over,     ///< nothing more will come this way, or there is no pipe
    };

    [[nodiscard]] Status move_for_a_turn(Channel& from, Channel& to, Progress& progress);
    [[nodiscard]] bool may_pipe(const Channel& from, const Channel& to) const noexcept;
    [[nodiscard]] Piping move_by_pipe(Channel& from, Channel& to, Progress& progress);
    [[nodiscard]] ParseStatus hand_on(ByteQueue& in, Channel& to, Progress& progress);
    [[nodiscard]] ParseStatus hand_on_block(ByteQueue& in, Channel& to, Progress& progress);

    BodyParser parser_;
    BorrowedPipe pipe_;
    bool chunked_ = false;
    bool done_ = false;
};

}  // namespace brokerd
