#include "daemon/proxy/route_slot.h"

#include <malloc.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "common/os/shortage.h"
#include "common/os/system_error.h"
#include "daemon/loop/log_entry.h"

namespace brokerd {
namespace {

/// Connections taken from one listener before others get their turn.
constexpr int kAcceptsPerTurn = 32;
/// Between two warnings of one plugin that descriptors have run out.
constexpr std::chrono::seconds kWarningPause{10};
/// Between two that it has as many clients as it may, or that one takes no answer: that may be what it always has.
constexpr std::chrono::minutes kFullPause{10};
/// So many clients are many; when three of four have gone, it is for good after this time.
constexpr std::size_t kManyClients = 1024;
constexpr std::chrono::seconds kEbb{1};

void warn_of_limit(const std::string& plugin, const std::string& what) {
    log_entry({LogLevel::warning,
               fmt::format("plugin {}: {}", plugin, what),
               message::kLimitReached,
               {{"PLUGIN_NAME", plugin}}});
}

}  // namespace

RouteSlot::RouteSlot(ThreadContext& context, const RouteReports& reports, std::shared_ptr<const Route> route)
    : context_{context},
      reports_{reports},
      route_{std::move(route)},
      idle_{context, [this](const std::shared_ptr<const Target>& target) { reports_.suspect(route_->id, target); }} {}

RouteSlot::~RouteSlot() {
    stop_listening();
    drop_idle();
}

void RouteSlot::add(std::shared_ptr<const UniqueFd> listener) {
    const bool was_listening = listening_;
    stop_listening();
    listeners_.push_back(std::make_unique<Listener>(*this, std::move(listener)));
    if (was_listening || listeners_.size() == 1) listen();
}

void RouteSlot::listen() {
    if (listening_ || draining_ || is_full()) return;
    // Level-triggered and exclusive: one of several proxy threads wakes up for a new connection.
    for (const auto& listener : listeners_) context_.loop.add(listener->fd(), EPOLLIN | EPOLLEXCLUSIVE, *listener);
    listening_ = true;
}

void RouteSlot::stop_listening() {
    if (!listening_) return;
    for (const auto& listener : listeners_) context_.loop.remove(listener->fd());
    listening_ = false;
}

void RouteSlot::accept_some(int listener) {
    for (int i = 0; i < kAcceptsPerTurn && listening_; ++i) {
        UniqueFd connected{::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
        if (!connected) {
            if (is_shortage(errno)) {
                // The connection stays in the backlog and the listener stays ready: look away for a while.
                if (context_.loop.now() - warned_ > kWarningPause) {
                    warned_ = context_.loop.now();
                    warn_of_limit(route_->plugin,
                                  fmt::format("no connection can be accepted for now: {}", errno_text(errno)));
                }
                stop_listening();
                context_.deadlines.set(*this, EventLoop::kTick);
            }
            return;
        }
        adopt(std::move(connected));
    }
}

void RouteSlot::adopt(UniqueFd connected) {
    const auto client = std::make_shared<Client>(context_, *this, std::move(connected));
    clients_.emplace(client.get(), client);
    client->start();
    // At once, not when the next one comes: that one wakes a single thread, which must be one that takes it.
    if (!is_full()) return;
    tell_full();
    stop_listening();  // note_closed() listens again
}

void RouteSlot::tell_full() {
    if (told_full_ && context_.loop.now() - *told_full_ < kFullPause) return;
    told_full_ = context_.loop.now();
    warn_of_limit(route_->plugin, fmt::format("it has {} connections on one thread, as many as max-connections allows; "
                                              "more wait until one ends",
                                              clients_.size()));
}

void RouteSlot::tell_unread() {
    if (told_unread_ && context_.loop.now() - *told_unread_ < kFullPause) return;
    told_unread_ = context_.loop.now();
    warn_of_limit(route_->plugin, fmt::format("an engine took nothing of an answer for {} s (unread-timeout); its "
                                              "connection is closed",
                                              context_.unread_limit.count()));
}

void RouteSlot::on_deadline() {
    if (!emptied_) listen();
}

void RouteSlot::set_route(std::shared_ptr<const Route> route) {
    const bool moved = route->target != route_->target;
    route_ = std::move(route);
    suspended_ = wanted_ = false;
    std::shared_ptr<Upstream> handshaken = std::move(handshaken_);
    if (moved) drop_idle();
    if (handshaken && route_->state == Route::State::active && handshaken->target() == route_->target)
        park(std::move(handshaken));
    drop(context_, handshaken);
    if (route_->state == Route::State::waiting) return;
    // A client may leave while others are told: work on a list of its own.
    std::vector<std::shared_ptr<Client>> waiting;
    for (const auto& [pointer, client] : clients_) {
        if (client->is_waiting()) waiting.push_back(client);
    }
    for (const auto& client : waiting) client->on_route_changed();
}

void RouteSlot::on_limits_changed() {
    if (is_full()) return stop_listening();
    if (!is_linked()) listen();
}

void RouteSlot::withdraw(std::function<void()> emptied) {
    stop_listening();
    for (const auto& listener : listeners_) listener->close();
    drop_idle();
    emptied_ = std::move(emptied);
    tell_clients(&Client::on_withdrawn);
    if (clients_.empty() && emptied_) emptied_();
}

void RouteSlot::drain(std::function<void()> drained) {
    draining_ = true;
    stop_listening();
    drained_ = std::move(drained);
    tell_clients(&Client::on_draining);
    if (clients_.empty() && drained_) std::exchange(drained_, {})();
}

/// A client that is told may close, and so leave clients_.
void RouteSlot::tell_clients(void (Client::*what)()) {
    std::vector<std::shared_ptr<Client>> all;
    for (const auto& [pointer, client] : clients_) all.push_back(client);
    for (const auto& client : all) ((*client).*what)();
}

void RouteSlot::cut_off() {
    tell_clients(&Client::on_cut_off);
}

void RouteSlot::park(std::shared_ptr<Upstream> upstream) {
    if (upstream->target() != route_->target || emptied_) return drop(context_, upstream);
    idle_.put(std::move(upstream));
}

void RouteSlot::park_handshaken(std::shared_ptr<Upstream> upstream) {
    if (upstream->target() == route_->target) return park(std::move(upstream));
    drop(context_, handshaken_);
    handshaken_ = std::move(upstream);
    handshaken_->park(*this);
}

/// The handshake's connection has ended before its route came.
void RouteSlot::on_idle_end(Upstream& ended) {
    if (handshaken_.get() == &ended) drop(context_, handshaken_);
}

void RouteSlot::drop_idle() {
    idle_.clear();
    drop(context_, handshaken_);
}

void RouteSlot::note_wanted() {
    if (wanted_ || route_->state != Route::State::waiting) return;
    wanted_ = true;
    reports_.wanted(route_->id);
}

void RouteSlot::note_down(const std::shared_ptr<const Target>& target, const std::string& reason, bool refused) {
    // The report always brings a new Route back, also where the core knows better meanwhile.
    if (suspended_ || route_->state != Route::State::active || target != route_->target) return;
    suspended_ = true;
    drop_idle();
    reports_.down(route_->id, target, reason, refused);
}

void RouteSlot::note_call_failed(const std::shared_ptr<const Target>& target) {
    reports_.suspect(route_->id, target);
}

void RouteSlot::note_lacking(const std::string& capability) {
    reports_.lacking(route_->id, capability);
}

/// What thousands of connections took lies about in the heap, and the allocator gives back by itself only what lies at
/// its end.
void RouteSlot::Ebb::on_deadline() {
    peak = 0;
    ::malloc_trim(0);
}

void RouteSlot::note_closed(Client& client) {
    const auto found = clients_.find(&client);
    if (found == clients_.end()) return;
    context_.loop.retire(std::move(found->second));
    ebb_.peak = std::max(ebb_.peak, clients_.size());
    clients_.erase(found);
    if (ebb_.peak >= kManyClients && clients_.size() < ebb_.peak / 4 && !ebb_.is_linked())
        context_.deadlines.set(ebb_, kEbb);
    if (clients_.empty() && drained_) context_.loop.post(std::exchange(drained_, {}));
    if (emptied_) {
        if (clients_.empty()) context_.loop.post(emptied_);
    } else if (!is_linked()) {
        listen();
    }
}

}  // namespace brokerd
