#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "daemon/control/control_message.h"
#include "daemon/control/job.h"
#include "daemon/loop/mailbox.h"

namespace brokerd {

class HttpServer;

/// One request on its way to its answer. Copies stand for the same request; the first answer counts, later ones and
/// those for connections that are gone are dropped. If nobody answers, the server does when the time is over.
/// Thread: any, unless stated otherwise. May outlive the server.
class Exchange {
public:
    using Id = std::uint64_t;

    /// `client`: there for as long as somebody waits for the answer.
    Exchange(std::shared_ptr<Mailbox<HttpServer&>> server, Id connection, Id number,
             std::weak_ptr<const void> client) noexcept
        : server_{std::move(server)}, connection_{connection}, number_{number}, client_{std::move(client)} {}

    void reply(ControlReply reply) const;
    /// Runs `work` on the server's thread, if that is still there.
    void post(std::function<void(HttpServer& server)> work) const { server_->post(std::move(work)); }
    /// Whether somebody waits for the answer, as far as the server's thread has seen.
    [[nodiscard]] bool is_awaited() const noexcept { return !client_.expired(); }

    /// Like reply(), with the formatting left to the server's thread: for callers on the core loop.
    void reply_with(std::function<ControlReply()> format) const;

    /// Has `work` answer, on a thread of its own that it may keep for minutes, with the request's body as it arrives
    /// (job.h). Such threads are apart from those of other requests. Beyond Limits::jobs it takes the place of one
    /// that waits for its client, or is answered with 503; where the client has gone already, `work` is dropped.
    void start_job(JobWork work) const;

    [[nodiscard]] Id connection() const noexcept { return connection_; }
    /// Grows from request to request.
    [[nodiscard]] Id number() const noexcept { return number_; }

private:
    std::shared_ptr<Mailbox<HttpServer&>> server_;
    Id connection_;
    Id number_;
    std::weak_ptr<const void> client_;
};

}  // namespace brokerd
