#include "daemon/core/endpoint_transport.h"

#include "common/json_members.h"

namespace brokerd {
namespace {

/// Names and certificates are read again after this long while a plugin is being retried, so that a corrected DNS entry
/// or a renewed certificate takes effect, without reading the certificate store for each of many retries.
constexpr std::chrono::seconds kTargetLife{10};

HandshakeReply to_reply(HandshakeOutcome outcome) {
    const auto kind = [&] {
        switch (outcome.kind) {
            case HandshakeOutcome::Kind::answered:
                return HandshakeReply::Kind::answered;
            case HandshakeOutcome::Kind::unreachable:
                return HandshakeReply::Kind::unreachable;
            case HandshakeOutcome::Kind::refused:
                return HandshakeReply::Kind::refused;
            case HandshakeOutcome::Kind::malformed:
                return HandshakeReply::Kind::malformed;
        }
        std::abort();
    }();
    return {kind, outcome.status, std::move(outcome.body), std::move(outcome.reason)};
}

HandshakeReply declared_manifest(const std::vector<std::string>& capabilities) {
    return {HandshakeReply::Kind::answered,
            200,
            json_text([&](JsonWriter& writer) {
                writer.StartObject();
                write_key(writer, "Implements");
                write_strings(writer, capabilities);
                writer.EndObject();
            }),
            {}};
}

}  // namespace

/// A handshake whose target is still being prepared, or which is under way. Shared with the callbacks that may outlive
/// the caller's interest; `done` is empty once that has ended.
class EndpointTransport::PendingHandshake {
public:
    explicit PendingHandshake(std::function<void(HandshakeReply)> when_done) : done{std::move(when_done)} {}

    /// What Activation holds: lets go of the callbacks when destroyed.
    class Handle final : public Call {
    public:
        explicit Handle(std::shared_ptr<PendingHandshake> pending) : pending_{std::move(pending)} {}
        ~Handle() override {
            pending_->done = nullptr;
            pending_->call.reset();
        }

    private:
        std::shared_ptr<PendingHandshake> pending_;
    };

    void finish(HandshakeReply reply) {
        if (const auto tell = std::move(done)) tell(std::move(reply));
    }

    std::function<void(HandshakeReply)> done;
    std::unique_ptr<Proxy::Call> call;
};

bool EndpointTransport::target_is_fresh() const {
    return target_ && (last_answered_ || (!last_refused_ && clock_.now() - prepared_at_ < kTargetLife));
}

std::unique_ptr<PluginTransport::Call> EndpointTransport::handshake(std::chrono::milliseconds limit,
                                                                    std::function<void(HandshakeReply)> done) {
    const auto pending = std::make_shared<PendingHandshake>(std::move(done));
    // `this` is alive while `pending->done` is set: the activation that owns the handle dies before its transport.
    const auto ask = [this, pending, limit] {
        pending->call = proxy_.handshake(id_, target_, limit, [this, pending](HandshakeOutcome outcome) {
            if (!pending->done) return;
            last_answered_ = outcome.kind == HandshakeOutcome::Kind::answered;
            last_refused_ = outcome.kind == HandshakeOutcome::Kind::refused;
            HandshakeReply reply = to_reply(std::move(outcome));
            if (reply.status == 404 && !declared_.empty()) reply = declared_manifest(declared_);
            pending->finish(std::move(reply));
        });
    };
    const auto use = [this, pending, ask](Result<std::shared_ptr<const Target>, Target::Problem> prepared) {
        if (!pending->done) return;
        if (prepared) {
            target_ = *std::move(prepared);
            prepared_at_ = clock_.now();
            return ask();
        }
        last_answered_ = false;
        const auto kind = prepared.error().is_final ? HandshakeReply::Kind::refused : HandshakeReply::Kind::unreachable;
        pending->finish({kind, 0, {}, prepared.error().message});
    };
    if (target_is_fresh()) {
        ask();
    } else if (Target::needs_worker(endpoint_)) {
        workers_.run([endpoint = endpoint_] { return Target::prepare(endpoint); }, use);
    } else if (auto prepared = Target::prepare(endpoint_)) {
        use(std::move(prepared));
    } else {
        workers_.run([prepared = std::move(prepared)] { return prepared; }, use);  // not before this returns
    }
    return std::make_unique<PendingHandshake::Handle>(pending);
}

}  // namespace brokerd
