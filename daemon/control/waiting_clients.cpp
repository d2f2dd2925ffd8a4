#include "daemon/control/waiting_clients.h"

#include <algorithm>

namespace brokerd {

void WaitingClients::wait_for(Id id, uid_t user, Kind kind, Clock::time_point since) {
    forget(id);
    const Clock::time_point end = since + (kind == Kind::owing ? owing_time_ : resting_time_);
    users(kind)[user].emplace(end, id);
    places_.emplace(id, Place{kind, user, end});
}

void WaitingClients::forget(Id id) noexcept {
    const auto found = places_.find(id);
    if (found == places_.end()) return;
    const Place place = found->second;
    Users& users_of_kind = users(place.kind);
    const auto order = users_of_kind.find(place.user);
    order->second.erase({place.end, id});
    if (order->second.empty()) users_of_kind.erase(order);
    places_.erase(found);
}

/// The user that has more of them than all others together, where there are others.
std::optional<uid_t> WaitingClients::crowd() const {
    std::map<uid_t, std::size_t> counts;
    for (const Users* users : {&owing_, &resting_}) {
        for (const auto& [user, order] : *users) counts[user] += order.size();
    }
    if (counts.size() < 2) return std::nullopt;
    for (const auto& [user, count] : counts) {
        if (count > places_.size() - count) return user;
    }
    return std::nullopt;
}

std::optional<WaitingClients::Id> WaitingClients::first_of(uid_t user, Clock::time_point now) const {
    for (const auto& [users, time] : {std::pair{&owing_, owing_time_}, std::pair{&resting_, resting_time_}}) {
        const auto order = users->find(user);
        if (order != users->end() && order->second.begin()->first <= now) return order->second.begin()->second;
    }
    for (const auto& [users, time] : {std::pair{&resting_, resting_time_}, std::pair{&owing_, owing_time_}}) {
        const auto order = users->find(user);
        if (order != users->end() && order->second.begin()->first - time < now) return order->second.begin()->second;
    }
    return std::nullopt;
}

std::optional<WaitingClients::Id> WaitingClients::first_due(Clock::time_point now) const {
    for (const Users* users : {&owing_, &resting_}) {
        const Order* longest = nullptr;
        for (const auto& [user, order] : *users) {
            if (longest == nullptr || *order.begin() < *longest->begin()) longest = &order;
        }
        if (longest != nullptr && longest->begin()->first <= now) return longest->begin()->second;
    }
    return std::nullopt;
}

std::optional<WaitingClients::Id> WaitingClients::first(Clock::time_point now) const {
    if (const auto user = crowd()) {
        if (const auto id = first_of(*user, now)) return id;
    }
    return first_due(now);
}

std::optional<WaitingClients::Clock::time_point> WaitingClients::due() const {
    std::optional<Clock::time_point> earliest;
    for (const Users* users : {&owing_, &resting_}) {
        for (const auto& [user, order] : *users) {
            const Clock::time_point end = order.begin()->first;
            earliest = earliest ? std::min(*earliest, end) : end;
        }
    }
    return earliest;
}

}  // namespace brokerd
