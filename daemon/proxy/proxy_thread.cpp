#include "daemon/proxy/proxy_thread.h"

#include <pthread.h>

#include <exception>

#include "daemon/loop/log.h"
#include "daemon/proxy/connection_keeper.h"

namespace brokerd {

ProxyThread::ProxyThread(RouteReports reports, const ProxySettings& settings, unsigned number)
    : reports_{std::move(reports)},
      number_{number},
      context_{settings.share(number), settings.request_limit, settings.unread_limit} {
    if (settings.keeper != nullptr) context_.ledger = settings.keeper->ledger();
    thread_ = std::thread{[this] { run(); }};
}

ProxyThread::~ProxyThread() {
    context_.loop.stop();
    thread_.join();
}

void ProxyThread::run() noexcept {
    pthread_setname_np(pthread_self(), "proxy");
    try {
        context_.loop.run([this] { context_.deadlines.expire(); });
        handshakes_.clear();
        withdrawn_.clear();
        slots_.clear();
        context_.loop.release_retired();
    } catch (const std::exception& error) {
        log_error("a proxy thread cannot go on: {}", error.what());
        std::terminate();  // systemd restarts us; a data plane that silently serves nobody would be worse
    }
}

void ProxyThread::publish(std::shared_ptr<const UniqueFd> listener, std::shared_ptr<const Route> route) {
    context_.loop.post([this, listener = std::move(listener), route = std::move(route)] {
        auto& slot = slots_[route->id];
        if (!slot) {
            slot = std::make_unique<RouteSlot>(context_, reports_, route);
            if (draining_) slot->drain({});
        }
        slot->add(listener);
    });
}

void ProxyThread::adopt(std::uint64_t id, std::vector<UniqueFd> connections) {
    // What is posted must be copyable.
    const auto shared = std::make_shared<std::vector<UniqueFd>>(std::move(connections));
    context_.loop.post([this, id, shared] {
        const auto slot = slots_.find(id);
        if (slot == slots_.end()) return;
        for (UniqueFd& connection : *shared) slot->second->adopt(std::move(connection));
    });
}

void ProxyThread::set_route(std::shared_ptr<const Route> route) {
    context_.loop.post([this, route = std::move(route)] {
        if (const auto slot = slots_.find(route->id); slot != slots_.end()) slot->second->set_route(route);
    });
}

void ProxyThread::withdraw(std::uint64_t id) {
    context_.loop.post([this, id] {
        auto slot = slots_.extract(id);
        if (slot.empty()) return;
        RouteSlot& leaving = *slot.mapped();
        withdrawn_.insert(std::move(slot));
        leaving.withdraw([this, id] { context_.loop.post([this, id] { withdrawn_.erase(id); }); });
    });
}

void ProxyThread::set_limits(const ProxySettings& settings) {
    context_.loop.post([this, settings] {
        context_.clients_per_socket = settings.share(number_);
        context_.head_limit = settings.request_limit;
        context_.unread_limit = settings.unread_limit;
        for (const auto& [id, slot] : slots_) slot->on_limits_changed();
    });
}

void ProxyThread::drain(std::function<void()> drained) {
    context_.loop.post([this, drained = std::move(drained)] {
        draining_ = true;
        drained_ = drained;
        draining_slots_ = slots_.size() + withdrawn_.size() + 1;  // one more, so that it does not end within this
        for (const auto* slots : {&slots_, &withdrawn_}) {
            for (const auto& [id, slot] : *slots) slot->drain([this] { on_slot_drained(); });
        }
        on_slot_drained();
    });
}

void ProxyThread::cut_off() {
    context_.loop.post([this] {
        for (const auto* slots : {&slots_, &withdrawn_}) {
            for (const auto& [id, slot] : *slots) slot->cut_off();
        }
    });
}

void ProxyThread::on_slot_drained() {
    if (--draining_slots_ == 0) drained_();
}

void ProxyThread::handshake(std::uint64_t call, std::uint64_t id, std::shared_ptr<const Target> target,
                            std::chrono::milliseconds limit, std::function<void(HandshakeOutcome)> done) {
    context_.loop.post([this, call, id, target = std::move(target), limit, done = std::move(done)] {
        auto finish = [this, call, id, done](HandshakeOutcome outcome, std::shared_ptr<Upstream> upstream) {
            handshakes_.erase(call);
            if (upstream) {
                if (const auto slot = slots_.find(id); slot != slots_.end()) {
                    slot->second->park_handshaken(std::move(upstream));
                } else {  // withdrawn meanwhile, or never published
                    drop(context_, upstream);
                }
            }
            done(std::move(outcome));
        };
        const auto started = std::make_shared<Handshake>(context_, target, std::move(finish));
        handshakes_.emplace(call, started);
        started->start(limit);
    });
}

void ProxyThread::cancel_handshake(std::uint64_t call) {
    context_.loop.post([this, call] { handshakes_.erase(call); });
}

void ProxyThread::collect(std::function<void(ThreadCounts)> done) {
    context_.loop.post([this, done = std::move(done)] {
        ThreadCounts counts;
        counts.reserve(slots_.size());
        for (const auto& [id, slot] : slots_)
            counts.push_back({id, slot->client_count(), slot->idle_count(), copy_counts(slot->meter()),
                              context_.clients_per_socket});
        done(std::move(counts));
    });
}

}  // namespace brokerd
