#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/os/unique_fd.h"
#include "daemon/control/control_message.h"
#include "daemon/control/exchange.h"
#include "daemon/control/job.h"
#include "daemon/loop/mailbox.h"

namespace brokerd {

/// How the body of a job's request stands.
enum class BodyState : std::uint8_t {
    coming,
    whole,
    cut_off,    ///< the client ended it early
    too_slow,   ///< no byte for Limits::body
    malformed,  ///< its framing is wrong
    unwanted,   ///< the job has answered, or closed the pipe
};

/// How a job's answer ends, as the server has to know.
struct JobConclusion {
    /// To be sent; none where the job has written its answer itself.
    std::optional<ControlReply> reply{};
    /// The job's own answer cannot be completed: the connection is closed.
    bool broken = false;
};

/// What a job's thread and the server's thread share. The job's thread writes the answer straight to the socket, of
/// which this has a descriptor of its own; all else that it wants of the server goes by mail. Until the conclusion the
/// server's thread writes nothing. Thread: any, unless stated otherwise.
class JobLink {
public:
    struct Settings {
        bool to_head = false;           ///< the answer has no body
        bool chunked = true;            ///< its body is chunked; otherwise it ends with the connection
        bool keep_alive = true;         ///< the client wants to keep the connection
        bool expects_continue = false;  ///< the client waits for "100 Continue"
        bool body_is_whole = false;     ///< there is nothing to read
        std::chrono::milliseconds write_stall{};
    };

    /// `socket` is duplicated. Throws std::system_error.
    JobLink(std::shared_ptr<Mailbox<HttpServer&>> server, const Exchange& exchange, int socket, Settings settings);

    [[nodiscard]] const Settings& settings() const noexcept { return settings_; }
    [[nodiscard]] int socket() const noexcept { return socket_.get(); }
    [[nodiscard]] int cancelled() const noexcept { return cancelled_.get(); }
    [[nodiscard]] bool is_cancelled() const noexcept { return is_cancelled_; }

    // ---- on the job's thread ----

    /// Whether the job has begun to answer.
    [[nodiscard]] bool is_answered() const noexcept { return is_answered_; }
    void set_answered() noexcept { is_answered_ = true; }

    /// Has the server move the body into the pipe whose writing end this is.
    void want_body(UniqueFd pipe);
    void conclude(JobConclusion conclusion);
    /// The job's thread is free.
    void ended();

    // ---- on the server's thread ----

    /// Also shuts the socket down, so that the client notices even if the job does not.
    void cancel() noexcept;
    /// The first end of the body counts. `why` tells a malformed one.
    void end_body(BodyState state, std::string why = {});

    // ---- on both ----

    [[nodiscard]] BodyState body() const noexcept { return body_; }
    /// Precondition: body() is malformed.
    [[nodiscard]] const std::string& malformed_because() const noexcept { return malformed_because_; }

private:
    const std::shared_ptr<Mailbox<HttpServer&>> server_;
    const Exchange exchange_;
    const Settings settings_;
    const UniqueFd socket_;
    const UniqueFd cancelled_;
    std::atomic<bool> is_cancelled_ = false;
    bool is_answered_ = false;
    std::string malformed_because_;  ///< written before body_ is
    std::atomic<BodyState> body_;
};

/// Does the work on the calling thread, and sees to it that there is an answer. Throws nothing.
void run_job(const std::shared_ptr<JobLink>& link, const JobWork& work);

}  // namespace brokerd
