#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <vector>

#include "daemon/loop/scheduler.h"

namespace brokerd {

/// Time that passes only when a test says so: timers fire in order, without waiting.
class FakeScheduler final : public Scheduler {
public:
    [[nodiscard]] Clock::time_point now() const override { return now_; }
    [[nodiscard]] std::chrono::system_clock::time_point wall_clock() const override {
        return std::chrono::system_clock::time_point{
            std::chrono::duration_cast<std::chrono::system_clock::duration>(now_.time_since_epoch())};
    }
    [[nodiscard]] std::unique_ptr<Timer> after(Clock::duration delay, std::function<void()> then) override {
        auto pending = std::make_shared<Pending>(Pending{now_ + delay, std::move(then)});
        pending_.push_back(pending);
        return std::make_unique<Handle>(std::move(pending));
    }

    /// Lets `duration` pass, firing what becomes due on the way.
    void advance(Clock::duration duration) {
        const auto end = now_ + duration;
        while (const auto next = next_due(end)) {
            now_ = std::max(now_, next->due);
            const auto then = std::exchange(next->then, nullptr);
            then();
        }
        now_ = end;
    }

private:
    struct Pending {
        Clock::time_point due;
        std::function<void()> then;  ///< empty once fired or cancelled
    };
    struct Handle final : Timer {
        explicit Handle(std::shared_ptr<Pending> timer) : pending{std::move(timer)} {}
        ~Handle() override { pending->then = nullptr; }
        std::shared_ptr<Pending> pending;
    };

    std::shared_ptr<Pending> next_due(Clock::time_point end) {
        std::erase_if(pending_, [](const auto& timer) { return !timer->then; });
        const auto next = std::min_element(pending_.begin(), pending_.end(),
                                           [](const auto& a, const auto& b) { return a->due < b->due; });
        return next == pending_.end() || (*next)->due > end ? nullptr : *next;
    }

    Clock::time_point now_{};
    std::vector<std::shared_ptr<Pending>> pending_;
};

}  // namespace brokerd
