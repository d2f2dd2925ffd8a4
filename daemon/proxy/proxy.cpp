#include "daemon/proxy/proxy.h"

#include <utility>

#include "common/os/socket_path.h"
#include "daemon/proxy/connection_keeper.h"
#include "daemon/proxy/proxy_thread.h"

namespace brokerd {
namespace {

/// The same reports, made on a proxy thread and delivered on the core loop.
RouteReports deliver_on(CoreLoop& loop, const std::shared_ptr<const RouteReports>& to) {
    RouteReports reports;
    reports.wanted = [&loop, to](std::uint64_t id) { loop.post([to, id] { to->wanted(id); }); };
    reports.down = [&loop, to](std::uint64_t id, std::shared_ptr<const Target> target, std::string reason,
                               bool refused) {
        loop.post([to, id, target = std::move(target), reason = std::move(reason), refused] {
            to->down(id, target, reason, refused);
        });
    };
    reports.suspect = [&loop, to](std::uint64_t id, std::shared_ptr<const Target> target) {
        loop.post([to, id, target = std::move(target)] { to->suspect(id, target); });
    };
    reports.lacking = [&loop, to](std::uint64_t id, std::string capability) {
        loop.post([to, id, capability = std::move(capability)] { to->lacking(id, capability); });
    };
    return reports;
}

class PendingCall final : public Proxy::Call {
public:
    PendingCall(ProxyThread& thread, std::uint64_t id, std::shared_ptr<bool> wanted)
        : thread_{thread}, id_{id}, wanted_{std::move(wanted)} {}
    ~PendingCall() override {
        if (!*wanted_) return;
        *wanted_ = false;
        thread_.cancel_handshake(id_);
    }

private:
    ProxyThread& thread_;
    std::uint64_t id_;
    std::shared_ptr<bool> wanted_;  ///< touched on the core loop only
};

}  // namespace

Proxy::Proxy(CoreLoop& loop, const ProxySettings& settings, RouteReports reports)
    : loop_{loop}, keeper_{settings.keeper} {
    const auto shared = std::make_shared<const RouteReports>(std::move(reports));
    for (unsigned i = 0; i < settings.threads; ++i)
        threads_.push_back(std::make_unique<ProxyThread>(deliver_on(loop, shared), settings, i));
}

Proxy::~Proxy() {
    if (!draining_) return;
    draining_->limit.reset();  // what a thread has posted may keep the rest for longer
    draining_->end.reset();
}

void Proxy::publish(UniqueFd listener, const std::shared_ptr<const Route>& route) {
    std::vector<std::vector<UniqueFd>> shares(threads_.size());
    if (keeper_ != nullptr) {
        std::size_t turn = 0;
        for (UniqueFd& connection : keeper_->take(socket_path(listener.get())))
            shares[turn++ % shares.size()].push_back(std::move(connection));
    }
    const auto shared = std::make_shared<const UniqueFd>(std::move(listener));
    for (std::size_t i = 0; i < threads_.size(); ++i) {
        threads_[i]->publish(shared, route);
        if (!shares[i].empty()) threads_[i]->adopt(route->id, std::move(shares[i]));
    }
}

void Proxy::set_route(const std::shared_ptr<const Route>& route) {
    for (const auto& thread : threads_) thread->set_route(route);
}

void Proxy::withdraw(std::uint64_t id) {
    for (const auto& thread : threads_) thread->withdraw(id);
}

void Proxy::set_limits(const ProxySettings& settings) {
    for (const auto& thread : threads_) thread->set_limits(settings);
}

void Proxy::drain(std::chrono::milliseconds limit, std::function<void()> done) {
    const auto draining = std::make_shared<Draining>();
    draining->done = std::move(done);
    draining->threads_left = threads_.size();
    // The timer is the only one that outlives its object's owner: it must not keep it.
    draining->limit = loop_.after(limit, [this, weak = std::weak_ptr{draining}] {
        const auto late = weak.lock();
        if (late && late->done) cut_off(*late);
    });
    draining_ = draining;
    for (const auto& thread : threads_) {
        thread->drain([&loop = loop_, draining] {
            loop.post([draining] {
                if (--draining->threads_left == 0) finish(*draining);
            });
        });
    }
}

/// `draining` is kept by this object, so its second timer may refer to it.
void Proxy::cut_off(Draining& draining) {
    for (const auto& thread : threads_) thread->cut_off();
    draining.end = loop_.after(kCutOffTime, [&draining] { finish(draining); });
}

void Proxy::finish(Draining& draining) {
    if (const auto done = std::exchange(draining.done, {})) done();
}

std::unique_ptr<Proxy::Call> Proxy::handshake(std::uint64_t id, std::shared_ptr<const Target> target,
                                              std::chrono::milliseconds limit,
                                              std::function<void(HandshakeOutcome)> done) {
    const auto wanted = std::make_shared<bool>(true);
    const std::uint64_t call = ++last_call_;
    thread_of(id).handshake(call, id, std::move(target), limit,
                            [&loop = loop_, wanted, done = std::move(done)](HandshakeOutcome outcome) {
                                loop.post([wanted, done, outcome = std::move(outcome)]() mutable {
                                    if (!*wanted) return;
                                    *wanted = false;
                                    done(std::move(outcome));
                                });
                            });
    return std::make_unique<PendingCall>(thread_of(id), call, wanted);
}

}  // namespace brokerd
