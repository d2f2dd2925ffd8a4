#include "daemon/loop/core_loop.h"

#include <sys/epoll.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include <system_error>

#include "daemon/loop/log.h"

namespace brokerd {
namespace {

void check(int code, const char* operation) {
    if (code < 0) throw std::system_error{-code, std::generic_category(), operation};
}

class EventTimer final : public Scheduler::Timer {
public:
    EventTimer(CoreLoop& loop, Scheduler::Clock::duration delay, std::function<void()> then)
        : loop_{loop}, then_{std::move(then)} {
        using std::chrono::microseconds;
        const auto in = std::max(std::chrono::duration_cast<microseconds>(delay), microseconds{0});
        check(
            sd_event_add_time_relative(loop.handle(), &source_, CLOCK_MONOTONIC, static_cast<std::uint64_t>(in.count()),
                                       kAccuracyMicroseconds, &EventTimer::dispatch, this),
            "sd_event_add_time_relative");
    }
    ~EventTimer() override { sd_event_source_disable_unref(source_); }
    EventTimer(const EventTimer&) = delete;
    EventTimer& operator=(const EventTimer&) = delete;

private:
    /// sd-event's default of 250 ms, made for saving power, would dominate every short back-off.
    static constexpr std::uint64_t kAccuracyMicroseconds = 1000;

    static int dispatch(sd_event_source*, std::uint64_t, void* self) noexcept {
        auto& timer = *static_cast<EventTimer*>(self);
        CoreLoop& loop = timer.loop_;
        // The callback may destroy this timer: what it runs must not live in it.
        const std::function<void()> then = std::move(timer.then_);
        try {
            then();
        } catch (...) {
            loop.report(std::current_exception());
        }
        return 0;
    }

    CoreLoop& loop_;
    std::function<void()> then_;
    sd_event_source* source_ = nullptr;
};

}  // namespace

CoreLoop::CoreLoop() {
    check(sd_event_new(&event_), "sd_event_new");
    const auto on_wake_up = [](sd_event_source*, int, std::uint32_t, void* self) noexcept -> int {
        static_cast<CoreLoop*>(self)->run_posted();
        return 0;
    };
    check(sd_event_add_io(event_, &wake_up_source_, posted_.descriptor(), EPOLLIN, on_wake_up, this),
          "sd_event_add_io");
    // sd-event opens its timer descriptor with the first timer: now, and not when descriptors have run out and a state
    // machine depends on it. This timer never fires.
    const auto on_spare_timer = [](sd_event_source*, std::uint64_t, void*) noexcept -> int { return 0; };
    check(sd_event_add_time(event_, &spare_timer_, CLOCK_MONOTONIC, UINT64_MAX, 0, on_spare_timer, nullptr),
          "sd_event_add_time");
}

CoreLoop::~CoreLoop() {
    sd_event_source_disable_unref(spare_timer_);
    sd_event_source_disable_unref(wake_up_source_);
    sd_event_unref(event_);
}

int CoreLoop::run() {
    check(sd_event_set_watchdog(event_, 1), "sd_event_set_watchdog");
    return sd_event_loop(event_);
}

void CoreLoop::stop(int exit_code) {
    check(sd_event_exit(event_, exit_code), "sd_event_exit");
}

void CoreLoop::run_posted() {
    auto batch = posted_.take();
    for (auto& work : batch) {
        try {
            work();
        } catch (...) {
            report(std::current_exception());
        }
        work = nullptr;  // what it captured ends here, in order, not with the batch
    }
}

std::chrono::system_clock::time_point CoreLoop::wall_clock() const {
    return std::chrono::system_clock::now();
}

std::unique_ptr<Scheduler::Timer> CoreLoop::after(Clock::duration delay, std::function<void()> then) {
    return std::make_unique<EventTimer>(*this, delay, std::move(then));
}

void CoreLoop::report(std::exception_ptr failure) const noexcept {
    try {
        std::rethrow_exception(std::move(failure));
    } catch (const std::exception& error) {
        log_error("unexpected failure, going on without that step: {}", error.what());
    } catch (...) {
        log_error("unexpected failure of unknown type, going on without that step");
    }
}

}  // namespace brokerd
