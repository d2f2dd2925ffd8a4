#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/loop/scheduler.h"

namespace brokerd {

/// From a plugin's first failure until it has been well for a while: decides what of it is worth a line of the log.
///
/// - A failure is told at once if it is new in this spell: another state, or another reason. Numbers do not count,
///   so that "it ended 0.2 s after its start" and "0.3 s" are the same, but those of a status or a signal do. So is a
///   reason that comes back after a while.
/// - The others are counted, and summed up a minute after the first, then after two, four … minutes, at most an hour.
/// - A recovery is told if the last thing told was a failure; a plugin that comes and goes is told once of each,
///   and one that then stays down is told of as well.
/// - A plugin that is gone and comes back within a minute is the same one: most plugins remove their socket when they
///   end, and so are gone each time they crash.
/// - At most kAtOnce different failures are told at once between two sums: a plugin that makes up a new reason
///   each time is summed up, too.
class FailureSpell {
public:
    using Clock = Scheduler::Clock;

    static constexpr std::chrono::minutes kFirstSum{1};
    static constexpr std::chrono::hours kLongestPause{1};
    /// Well or gone for so long: the spell is over.
    static constexpr std::chrono::minutes kStable{1};
    /// Down for so long after its recovery was told: that is told.
    static constexpr std::chrono::seconds kLasting{30};
    static constexpr std::size_t kAtOnce = 8;

    explicit FailureSpell(Clock::time_point now) noexcept : begun_{now}, changed_{now}, next_sum_{now + kFirstSum} {}

    /// It has failed. Returns whether that is to be told now.
    [[nodiscard]] bool fail(std::string_view action, std::string_view reason, Clock::time_point now);
    /// It works. Returns whether that is to be told now.
    [[nodiscard]] bool recover(Clock::time_point now);
    /// Nothing defines it any more. Returns whether that is to be told now; then nothing is left to be summed up.
    [[nodiscard]] bool leave(std::string_view reason, Clock::time_point now);
    /// It is to be found at another place now: what was told of the old one is told again where it fails in the same
    /// way.
    void move() noexcept { told_.clear(); }

    /// What has become due.
    struct Sum {
        std::uint64_t times = 0;  ///< failures that nobody was told of
        std::chrono::milliseconds span{};
        bool is_over = false;  ///< of the spell
    };
    /// Nothing: nothing is due. Counts as told.
    [[nodiscard]] std::optional<Sum> due(Clock::time_point now);

    [[nodiscard]] bool is_failing() const noexcept { return failing_; }
    /// All failures, told or not.
    [[nodiscard]] std::uint64_t failures() const noexcept { return failures_; }
    [[nodiscard]] std::chrono::milliseconds lasted(Clock::time_point now) const;
    /// The newest, cut.
    [[nodiscard]] const std::string& action() const noexcept { return action_; }
    [[nodiscard]] const std::string& reason() const noexcept { return reason_; }

private:
    const Clock::time_point begun_;
    Clock::time_point since_{};  ///< when it began to fail, or to work
    Clock::time_point changed_;  ///< when the failure became another one
    Clock::time_point next_sum_;
    Clock::time_point last_sum_{begun_};
    std::chrono::milliseconds pause_{kFirstSum};
    std::uint64_t failures_ = 0;
    std::uint64_t untold_ = 0;
    std::vector<std::size_t> told_;  ///< shapes of failures
    std::size_t at_once_ = 0;        ///< new ones told since a sum last made room for more
    std::size_t shape_ = 0;          ///< of the newest
    bool failing_ = false;
    bool gone_ = false;
    bool failing_is_told_ = false;
    std::string action_;
    std::string reason_;
};

}  // namespace brokerd
