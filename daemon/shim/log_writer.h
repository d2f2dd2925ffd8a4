#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "daemon/shim/log_output.h"

namespace brokerd {

/// So many a second in the long run, and more at once. Thread: one.
class TokenBucket {
public:
    using Clock = std::chrono::steady_clock;

    constexpr TokenBucket(std::uint64_t per_second, std::uint64_t burst) noexcept
        : per_second_{per_second}, burst_{burst}, tokens_{burst} {}

    void refill(Clock::time_point now) noexcept;
    [[nodiscard]] bool holds(std::uint64_t tokens) const noexcept { return tokens_ >= tokens; }
    /// Precondition: holds(tokens).
    void take(std::uint64_t tokens) noexcept { tokens_ -= tokens; }

private:
    std::uint64_t per_second_;
    std::uint64_t burst_;
    std::uint64_t tokens_;
    Clock::time_point refilled_{};
};

/// Passes a plugin's lines on to where they are kept, but no flood of them (the newest are left out then), and tells
/// there how many are missing and why. Never fails: what cannot be written is counted and told once it can. Thread:
/// one.
class LogWriter {
public:
    using Clock = TokenBucket::Clock;

    /// Ours: far more than a plugin has to say, and what a disk and the journal bear from a thousand of them.
    static constexpr std::uint64_t kLinesPerSecond = 1000;
    static constexpr std::uint64_t kBurstLines = 5000;
    static constexpr std::uint64_t kBytesPerSecond = std::uint64_t{1} << 20;
    static constexpr std::uint64_t kBurstBytes = std::uint64_t{4} << 20;
    /// Between the first line that is left out and the line that tells how many there were; also between two tries to
    /// write after a failure in a time when the plugin is silent.
    static constexpr std::chrono::seconds kTellAfter{1};

    explicit LogWriter(LogOutput& output) noexcept : output_{output} {}

    void line(LogRecord::Source source, std::string_view message, bool partial, Clock::time_point now);
    /// When tell() wants to be called; nothing while there is nothing to tell.
    [[nodiscard]] std::optional<Clock::time_point> next() const noexcept { return tell_at_; }
    /// Tells what is missing, if it is time.
    void tell(Clock::time_point now);
    /// The same, at once: there is nothing to come.
    void finish(Clock::time_point now);

private:
    [[nodiscard]] bool write(LogRecord::Source source, std::string_view message, bool partial);
    [[nodiscard]] bool tell_count(std::uint64_t& count, std::string_view one, std::string_view many);
    void settle(Clock::time_point now);

    LogOutput& output_;
    TokenBucket lines_{kLinesPerSecond, kBurstLines};
    TokenBucket bytes_{kBytesPerSecond, kBurstBytes};
    std::uint64_t suppressed_ = 0;
    std::uint64_t lost_ = 0;
    std::optional<Clock::time_point> tell_at_;  ///< set while one of the two is not 0
};

}  // namespace brokerd
