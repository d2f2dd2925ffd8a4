#include "daemon/control/waiting_clients.h"

#include <algorithm>

namespace brokerd {

void WaitingClients::wait_for(Id id, Kind kind, Clock::time_point since) {
    forget(id);
    const Clock::time_point end = since + (kind == Kind::owing ? owing_time_ : resting_time_);
    order(kind).emplace(end, id);
    kinds_.emplace(id, std::pair{kind, end});
}

void WaitingClients::forget(Id id) noexcept {
    const auto found = kinds_.find(id);
    if (found == kinds_.end()) return;
    const auto [kind, end] = found->second;
    order(kind).erase({end, id});
    kinds_.erase(found);
}

std::optional<WaitingClients::Id> WaitingClients::first(Clock::time_point now) const {
    for (const Order* order : {&owing_, &resting_}) {
        if (!order->empty() && order->begin()->first <= now) return order->begin()->second;
    }
    return std::nullopt;
}

std::optional<WaitingClients::Clock::time_point> WaitingClients::due() const {
    std::optional<Clock::time_point> earliest;
    for (const Order* order : {&owing_, &resting_}) {
        if (order->empty()) continue;
        earliest = earliest ? std::min(*earliest, order->begin()->first) : order->begin()->first;
    }
    return earliest;
}

}  // namespace brokerd
