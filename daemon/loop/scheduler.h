#pragma once

#include <chrono>
#include <functional>
#include <memory>

namespace brokerd {

/// Time as the state machines see it: a clock and one-shot timers, so that a test can own both.
/// Thread: the core loop's.
class Scheduler {
public:
    using Clock = std::chrono::steady_clock;

    /// Cancels its timer when destroyed; does nothing once the timer has fired.
    class Timer {
    public:
        virtual ~Timer() = default;
    };

    virtual ~Scheduler() = default;

    [[nodiscard]] virtual Clock::time_point now() const = 0;
    /// Wall-clock time, for what people read.
    [[nodiscard]] virtual std::chrono::system_clock::time_point wall_clock() const = 0;
    /// Calls `then` once, `delay` from now, unless the timer is destroyed before.
    [[nodiscard]] virtual std::unique_ptr<Timer> after(Clock::duration delay, std::function<void()> then) = 0;
};

}  // namespace brokerd
