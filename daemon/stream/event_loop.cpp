#include "daemon/stream/event_loop.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <exception>
#include <utility>

#include "common/os/system_error.h"
#include "daemon/loop/log.h"

namespace brokerd {
namespace {

/// Events handled at once. What they read stays in blocks of the pool until the end of the batch.
constexpr std::size_t kBatch = 64;

/// The boundary for what nobody planned for: one connection may suffer, the others go on.
template <class Step>
void attempt(const Step& step) noexcept {
    try {
        step();
    } catch (const std::exception& error) {
        log_error("proxy: going on after an unexpected failure: {}", error.what());
    }
}

}  // namespace

EventLoop::EventLoop()
    : epoll_{epoll_create1(EPOLL_CLOEXEC)}, ticker_{timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)} {
    if (!epoll_) throw_errno("epoll_create1");
    if (!ticker_) throw_errno("timerfd_create");
    // The sources that are no handlers are told by the addresses of what they belong to.
    watch(posted_.descriptor(), EPOLLIN, &posted_);
    watch(ticker_.get(), EPOLLIN, &ticker_);
}

void EventLoop::run(const std::function<void()>& on_tick) {
    std::array<epoll_event, kBatch> events{};
    while (!stopping_) {
        const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), -1);
        if (count < 0 && errno != EINTR) throw_errno("epoll_wait");
        now_ = Clock::now();
        for (int i = 0; i < count; ++i) {
            const auto& event = events[static_cast<std::size_t>(i)];
            if (event.data.ptr == &posted_) {
                for (auto& work : posted_.take()) attempt(work);
            } else if (event.data.ptr == &ticker_) {
                read_ticks(on_tick);
            } else {
                attempt([&event] { static_cast<EventHandler*>(event.data.ptr)->on_events(event.events); });
            }
        }
        run_deferred();
        release_retired();
    }
    stopping_ = false;
}

void EventLoop::run_deferred() noexcept {
    while (!deferred_.empty()) {
        Deferred& work = deferred_.front();
        deferred_.pop_front();
        attempt([&work] { work.on_batch_end(); });
    }
}

void EventLoop::read_ticks(const std::function<void()>& on_tick) {
    std::uint64_t ticks = 0;
    if (read(ticker_.get(), &ticks, sizeof ticks) == sizeof ticks) attempt(on_tick);
}

void EventLoop::start_or_stop_ticking(bool on) noexcept {
    ticking_ = on;
    itimerspec when{};
    if (on) when.it_value.tv_nsec = when.it_interval.tv_nsec = std::chrono::nanoseconds{kTick}.count();
    timerfd_settime(ticker_.get(), 0, &when, nullptr);
}

void EventLoop::stop() {
    post([this] { stopping_ = true; });
}

bool EventLoop::control(int operation, int fd, std::uint32_t events, void* handler) noexcept {
    epoll_event event{};
    event.events = events;
    event.data.ptr = handler;
    return epoll_ctl(epoll_.get(), operation, fd, &event) == 0;
}

void EventLoop::watch(int fd, std::uint32_t events, void* handler) {
    if (!control(EPOLL_CTL_ADD, fd, events, handler)) throw_errno("epoll_ctl");
}

void EventLoop::add(int fd, std::uint32_t events, EventHandler& handler) {
    watch(fd, events, &handler);
}

void EventLoop::modify(int fd, std::uint32_t events, EventHandler& handler) noexcept {
    // Of a descriptor that is watched already; that fails for none of epoll_ctl(2)'s reasons.
    static_cast<void>(control(EPOLL_CTL_MOD, fd, events, &handler));
}

void EventLoop::remove(int fd) noexcept {
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

void EventLoop::release_retired() noexcept {
    // What is destroyed may retire more.
    while (!retired_.empty()) {
        const std::vector<std::shared_ptr<void>> batch = std::exchange(retired_, {});
    }
}

}  // namespace brokerd
