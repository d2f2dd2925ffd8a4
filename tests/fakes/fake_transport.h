#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "daemon/activation/activation.h"
#include "tests/fakes/fake_scheduler.h"

namespace brokerd {

/// A plugin as a handshake sees it. Answers at once, or, while `holding`, when release() is called.
class FakeTransport final : public PluginTransport {
public:
    explicit FakeTransport(FakeScheduler& scheduler) : scheduler_{scheduler} {}

    std::unique_ptr<Call> handshake(std::chrono::milliseconds limit,
                                    std::function<void(HandshakeReply)> done) override {
        ++calls;
        last_limit = limit;
        auto call = std::make_unique<PendingCall>();
        held_ = call->state;
        held_->done = std::move(done);
        if (!holding) call->state->timer = scheduler_.after(std::chrono::milliseconds{0}, [this] { release(); });
        return call;
    }

    void release() {
        if (const auto done = std::exchange(held_->done, nullptr)) done(reply);
    }
    void answer(std::string body, unsigned status = 200) {
        reply = {HandshakeReply::Kind::answered, status, std::move(body), {}};
    }
    void be_unreachable(std::string reason = "nobody listens") {
        reply = {HandshakeReply::Kind::unreachable, 0, {}, std::move(reason)};
    }
    void refuse(std::string reason) { reply = {HandshakeReply::Kind::refused, 0, {}, std::move(reason)}; }

    HandshakeReply reply;
    bool holding = false;
    int calls = 0;
    std::chrono::milliseconds last_limit{0};

private:
    struct Held {
        std::function<void(HandshakeReply)> done;
        std::unique_ptr<Scheduler::Timer> timer;
    };
    struct PendingCall final : Call {
        ~PendingCall() override { state->done = nullptr; }
        std::shared_ptr<Held> state = std::make_shared<Held>();
    };

    FakeScheduler& scheduler_;
    std::shared_ptr<Held> held_;
};

}  // namespace brokerd
