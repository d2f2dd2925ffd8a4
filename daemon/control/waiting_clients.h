#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

namespace brokerd {

/// The connections on which the server waits for its client, and since when. Where there is no room for somebody new,
/// the one that has kept it waiting for longest goes: first of those that owe something (a first request, the rest of
/// one, the reading of an answer), then of those that merely rest between two requests. Each has a time before that.
/// Where one user has more of them than all others together, it is one of that user's, and its time may be cut short:
/// many clients of one user's cost nobody else a place. Thread: one. The caller tells the time.
class WaitingClients {
public:
    using Clock = std::chrono::steady_clock;
    using Id = std::uint64_t;
    enum class Kind : std::uint8_t { owing, resting };

    /// How long one of each kind is left alone.
    WaitingClients(std::chrono::milliseconds owing, std::chrono::milliseconds resting) noexcept
        : owing_time_{owing}, resting_time_{resting} {}

    /// From `since` on; replaces what was known of this one.
    void wait_for(Id id, uid_t user, Kind kind, Clock::time_point since);
    /// It is not waited for, or gone.
    void forget(Id id) noexcept;

    /// Who goes first; nothing where nobody's time is over. Who is waited for from `now` on is not named.
    [[nodiscard]] std::optional<Id> first(Clock::time_point now) const;
    /// When first() will name somebody, if nothing changes; nothing where nobody is waited for.
    [[nodiscard]] std::optional<Clock::time_point> due() const;
    [[nodiscard]] bool empty() const noexcept { return places_.empty(); }

private:
    using Order = std::set<std::pair<Clock::time_point, Id>>;  ///< by the end of their time
    using Users = std::map<uid_t, Order>;                      ///< no order is empty
    struct Place {
        Kind kind;
        uid_t user;
        Clock::time_point end;
    };

    [[nodiscard]] Users& users(Kind kind) noexcept { return kind == Kind::owing ? owing_ : resting_; }
    [[nodiscard]] std::optional<uid_t> crowd() const;
    [[nodiscard]] std::optional<Id> first_of(uid_t user, Clock::time_point now) const;
    [[nodiscard]] std::optional<Id> first_due(Clock::time_point now) const;

    std::chrono::milliseconds owing_time_;
    std::chrono::milliseconds resting_time_;
    Users owing_;
    Users resting_;
    std::unordered_map<Id, Place> places_;
};

}  // namespace brokerd
