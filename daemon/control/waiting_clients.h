#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

namespace brokerd {

/// The connections on which the server waits for its client, and since when. Where there is no room for somebody new,
/// the one that has kept it waiting for longest goes: first of those that owe something (a first request, the rest of
/// one, the reading of an answer), then of those that merely rest between two requests. Each has a time before that.
/// Thread: one. The caller tells the time.
class WaitingClients {
public:
    using Clock = std::chrono::steady_clock;
    using Id = std::uint64_t;
    enum class Kind : std::uint8_t { owing, resting };

    /// How long one of each kind is left alone.
    WaitingClients(std::chrono::milliseconds owing, std::chrono::milliseconds resting) noexcept
        : owing_time_{owing}, resting_time_{resting} {}

    /// From `since` on; replaces what was known of this one.
    void wait_for(Id id, Kind kind, Clock::time_point since);
    /// It is not waited for, or gone.
    void forget(Id id) noexcept;

    /// Who goes first; nothing where nobody's time is over.
    [[nodiscard]] std::optional<Id> first(Clock::time_point now) const;
    /// When first() will name somebody, if nothing changes; nothing where nobody is waited for.
    [[nodiscard]] std::optional<Clock::time_point> due() const;
    [[nodiscard]] bool empty() const noexcept { return kinds_.empty(); }

private:
    using Order = std::set<std::pair<Clock::time_point, Id>>;  ///< by the end of their time

    [[nodiscard]] Order& order(Kind kind) noexcept { return kind == Kind::owing ? owing_ : resting_; }

    std::chrono::milliseconds owing_time_;
    std::chrono::milliseconds resting_time_;
    Order owing_;
    Order resting_;
    std::unordered_map<Id, std::pair<Kind, Clock::time_point>> kinds_;  ///< and where in its order
};

}  // namespace brokerd
