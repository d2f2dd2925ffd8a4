#include "daemon/proxy/event_loop.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <exception>

#include "common/os/system_error.h"
#include "daemon/loop/log.h"

namespace brokerd {

EventLoop::EventLoop() : epoll_{epoll_create1(EPOLL_CLOEXEC)}, wake_up_{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {
    if (!epoll_) throw_errno("epoll_create1");
    if (!wake_up_) throw_errno("eventfd");
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = nullptr;  // the only source without a handler
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_up_.get(), &event) != 0) throw_errno("epoll_ctl");
}

void EventLoop::run(const std::function<void()>& on_tick) {
    std::array<epoll_event, 128> events{};
    Clock::time_point next_tick = Clock::now() + kTick;
    while (!stopping_) {
        int timeout = -1;
        if (ticking_) {
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(next_tick - Clock::now());
            timeout = static_cast<int>(std::max<std::int64_t>(left.count(), 0));
        }
        const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout);
        if (count < 0 && errno != EINTR) throw_errno("epoll_wait");
        now_ = Clock::now();
        for (int i = 0; i < count; ++i) {
            const auto& event = events[static_cast<std::size_t>(i)];
            try {
                if (event.data.ptr == nullptr) {
                    run_posted();
                } else {
                    static_cast<EventHandler*>(event.data.ptr)->on_events(event.events);
                }
            } catch (const std::exception& error) {
                log_error("proxy: a connection was dropped after an unexpected failure: {}", error.what());
            }
        }
        if (ticking_ && now_ >= next_tick) {
            next_tick = now_ + kTick;
            on_tick();
        }
        retired_.clear();
    }
}

void EventLoop::stop() {
    post([this] { stopping_ = true; });
}

void EventLoop::post(std::function<void()> work) {
    bool was_empty = false;
    {
        const std::lock_guard lock{posted_mutex_};
        was_empty = posted_.empty();
        posted_.push_back(std::move(work));
    }
    if (was_empty) {
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto ignored = ::write(wake_up_.get(), &one, sizeof one);
    }
}

void EventLoop::run_posted() {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto ignored = ::read(wake_up_.get(), &count, sizeof count);
    std::vector<std::function<void()>> batch;
    {
        const std::lock_guard lock{posted_mutex_};
        batch.swap(posted_);
    }
    for (auto& work : batch) work();
}

void EventLoop::add(int fd, std::uint32_t events, EventHandler& handler) {
    epoll_event event{};
    event.events = events;
    event.data.ptr = &handler;
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) throw_errno("epoll_ctl");
}

void EventLoop::rearm(int fd, std::uint32_t events, EventHandler& handler) {
    epoll_event event{};
    event.events = events;
    event.data.ptr = &handler;
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) != 0) throw_errno("epoll_ctl");
}

void EventLoop::remove(int fd) noexcept {
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

}  // namespace brokerd
