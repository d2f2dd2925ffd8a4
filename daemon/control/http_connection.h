#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/os/unique_fd.h"
#include "daemon/control/body_pump.h"
#include "daemon/control/job_link.h"
#include "daemon/control/request_parser.h"
#include "daemon/control/unread_answers.h"

namespace brokerd {

/// One accepted connection: its bytes in and out, and where in its life it is. HttpServer decides what happens next.
/// Thread: the server's. No call blocks.
class HttpConnection {
public:
    using Clock = std::chrono::steady_clock;

    enum class State {
        receiving,  ///< between requests, or a request is arriving
        answering,  ///< a request is being handled; nothing is read meanwhile
        working,    ///< a job handles it, reads its body and writes the answer
        replying,   ///< an answer is being written
        streaming,  ///< an answer without end is being written
        draining,   ///< all is written, the rest of the client's bytes is thrown away until it closes
    };
    enum class Io { progress, would_block, end, failed };

    HttpConnection(std::uint64_t id, UniqueFd socket) noexcept : id_{id}, socket_{std::move(socket)} {}

    [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
    [[nodiscard]] int descriptor() const noexcept { return socket_.get(); }
    /// What epoll should wait for in this state.
    [[nodiscard]] std::uint32_t interest() const noexcept;

    /// Whether something of a request has been read.
    [[nodiscard]] bool has_begun() const;
    /// Whether there is something in the socket.
    [[nodiscard]] bool has_unread() const noexcept;
    /// The client's writes fail from here on; what it has written before can still be read.
    void end_input() noexcept;
    [[nodiscard]] bool input_ended() const noexcept { return input_ended_; }
    /// Appends to input() what has arrived, up to a bounded amount.
    [[nodiscard]] Io read();
    /// Throws away what has arrived.
    [[nodiscard]] Io discard();
    /// Writes what output holds, as far as the socket takes it: `end` where all is written.
    [[nodiscard]] Io flush();
    void queue(std::string_view bytes);
    /// What comes after all else that is queued, and is not copied. Precondition: all of the last one is written.
    void queue_body(std::shared_ptr<const std::string> bytes) noexcept { body_ = std::move(bytes); }
    [[nodiscard]] std::size_t queued() const noexcept {
        return output_.size() - written_ + (body_ ? body_->size() - body_written_ : 0);
    }
    /// Tells the client that nothing more comes.
    void end_output() noexcept;

    State state = State::receiving;
    RequestParser parser;
    std::string input;
    std::optional<Clock::time_point> deadline;  ///< HttpServer's, which also indexes it
    std::uint32_t registered = 0;               ///< what epoll waits for at present
    std::uint64_t exchange = 0;                 ///< the number of the request in flight
    std::chrono::milliseconds reply_within{};   ///< how long its handler may take
    Clock::time_point awaited_since{};          ///< its client, if it is its turn
    Clock::time_point drains_until{};           ///< at the latest
    std::shared_ptr<const void> client;         ///< see Exchange; none where no request is in flight
    UnreadAnswers::Answer unread;               ///< its answer, if the server counts it
    uid_t user = 0;                             ///< the peer's
    std::string refused;                        ///< who the peer is, where it may not be here
    bool to_head = false;                       ///< the request in flight is a HEAD
    bool chunked = true;                        ///< a stream may be chunked (HTTP/1.1)
    bool keep_alive = true;                     ///< after the request in flight
    std::function<void()> stream_closed;        ///< tells the owner of the stream
    bool ends_with_input = false;               ///< a stream is over when the client stops sending
    std::uint64_t accepted = 0;                 ///< in clock ticks since boot
    std::optional<BodyPump> pump;               ///< the body of the request in flight, where a job may read it
    std::shared_ptr<JobLink> job;               ///< the last one here, perhaps over
    bool expects_continue = false;              ///< of the request in flight; not answered yet
    bool awaits_body = false;                   ///< the job's pipe has room
    std::uint64_t body_noted = 0;               ///< how much of it had come when its client was last found quick enough
    std::uint64_t body_timed = 0;               ///< the same when its deadline was set
    bool pipe_watched = false;                  ///< epoll waits for room in the job's pipe

private:
    [[nodiscard]] ssize_t send_some() const noexcept;

    std::uint64_t id_;
    UniqueFd socket_;
    std::string output_;
    std::size_t written_ = 0;
    std::shared_ptr<const std::string> body_;  ///< after output_
    std::size_t body_written_ = 0;
    bool input_ended_ = false;
};

}  // namespace brokerd
