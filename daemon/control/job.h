#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/os/unique_fd.h"
#include "common/result.h"
#include "daemon/control/control_message.h"

namespace brokerd {

class JobLink;

/// The body of a job's request, without its framing, as it arrives. Of a route that collects bodies nothing is left to
/// read here: what came is in ControlRequest::body.
///
/// Beneath is a pipe: the server's thread moves what arrives into it and stops reading the socket while it is full, so
/// a slow job slows its client down, and of a body of any size at most 256 KiB in the pipe and 128 KiB beside it are
/// kept. The first call sends "100 Continue" where the client waits for it. Thread: the job's.
class JobBody {
public:
    explicit JobBody(JobLink& link) noexcept : link_{link} {}

    /// Waits for bytes; 0 = the whole body has been read. Fails where the client has gone or is too slow
    /// (Limits::body without a byte), where the framing is wrong, where the request has been answered, and when the
    /// server stops.
    [[nodiscard]] Result<std::size_t> read(char* bytes, std::size_t size);
    /// All of it, for bodies that are small; more than `limit` bytes are an error.
    [[nodiscard]] Result<std::string> read_all(std::size_t limit);

    /// The pipe, for code that reads descriptors (blocking). It ends where the body does, and also where the body
    /// breaks off or the job is cancelled: end() tells which. A child process that is given it must close whatever else
    /// it inherits, or it may hold the other end open itself. Closing it early is allowed.
    [[nodiscard]] Result<UniqueFd> as_pipe();
    /// Whether the body came whole: drops what nobody has read, up to kMaxRest bytes, and says what is wrong, if
    /// anything is. Without it, what was read may have been cut off.
    [[nodiscard]] std::optional<Error> end();
    /// Ours: what may follow an archive's own end.
    static constexpr std::size_t kMaxRest = std::size_t{1024} * 1024;

private:
    [[nodiscard]] std::optional<Error> open();
    [[nodiscard]] std::optional<Error> why_it_ended() const;

    JobLink& link_;
    UniqueFd pipe_;  ///< its reading end
};

/// The answer to a job's request: either whole, or bit by bit. The first of reply(), start() decides, once.
/// A job that returns without an answer is answered with 500; one that returns, or throws, between start() and
/// finish() breaks the connection off without the last chunk, so that the client notices. Thread: the job's.
class JobReply {
public:
    using Headers = std::vector<std::pair<std::string, std::string>>;

    explicit JobReply(JobLink& link) noexcept : link_{link} {}

    /// A whole answer. Ignored after start(). What the client is still sending then is thrown away, for a bounded time,
    /// and the connection ends (RFC 9112 9.6).
    void reply(ControlReply reply);

    /// The head goes out at once; the status is fixed from here on. False where the client has gone.
    bool start(unsigned status, std::string_view content_type, const Headers& headers = {});
    /// Sends a piece of the body; it may be empty. Waits while the client does not read (the socket's buffer is all
    /// that is kept). False where the client has gone, has read nothing for Limits::write_stall, or the server stops:
    /// the job should end then. Precondition: start().
    bool write(std::string_view bytes);
    /// The answer is complete; later calls do nothing.
    void finish();
    /// For what goes wrong at any time: reply(error) before start(); after it the connection is broken off.
    void fail_with(ControlReply error);

    [[nodiscard]] bool started() const noexcept { return state_ != State::none; }
    /// Whether there is nothing left to say: reply() or finish() were called, or the client has gone.
    [[nodiscard]] bool over() const noexcept { return state_ == State::over; }

private:
    enum class State { none, started, over };

    [[nodiscard]] bool send(std::vector<std::string_view> pieces);

    JobLink& link_;
    State state_ = State::none;
};

/// What a job works with. Lives as long as the job runs.
class Job {
public:
    explicit Job(std::shared_ptr<JobLink> link) noexcept : link_{std::move(link)}, body{*link_}, reply{*link_} {}
    Job(const Job&) = delete;
    Job& operator=(const Job&) = delete;

    /// Readable from when the client has gone or the server stops, whatever the job is doing then: to be polled beside
    /// everything that a job waits for, the core loop included (the server waits for its jobs when it stops).
    /// An end of the client that only stops sending is none.
    [[nodiscard]] int cancelled() const noexcept;
    [[nodiscard]] bool is_cancelled() const noexcept;

private:
    std::shared_ptr<JobLink> link_;

public:
    JobBody body;
    JobReply reply;
};

/// Runs on a thread of its own for as long as it takes; see Exchange::start_job(). Exceptions become 500, or break the
/// answer off.
using JobWork = std::function<void(Job& job)>;

}  // namespace brokerd
