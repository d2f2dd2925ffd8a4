#include "daemon/proxy/event_loop.h"

#include <array>
#include <cerrno>
#include <exception>
#include <utility>

#include "common/os/system_error.h"
#include "daemon/loop/log.h"

namespace brokerd {
namespace {

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

EventLoop::EventLoop() : epoll_{epoll_create1(EPOLL_CLOEXEC)} {
    if (!epoll_) throw_errno("epoll_create1");
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = nullptr;  // the only source without a handler
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, posted_.descriptor(), &event) != 0) throw_errno("epoll_ctl");
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
            if (event.data.ptr == nullptr) {
                for (auto& work : posted_.take()) attempt(work);
            } else {
                attempt([&event] { static_cast<EventHandler*>(event.data.ptr)->on_events(event.events); });
            }
        }
        if (ticking_ && now_ >= next_tick) {
            next_tick = now_ + kTick;
            attempt(on_tick);
        }
        release_retired();
    }
}

void EventLoop::stop() {
    post([this] { stopping_ = true; });
}

void EventLoop::add(int fd, std::uint32_t events, EventHandler& handler) {
    epoll_event event{};
    event.events = events;
    event.data.ptr = &handler;
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) throw_errno("epoll_ctl");
}

void EventLoop::release_retired() noexcept {
    // What is destroyed may retire more.
    while (!retired_.empty()) {
        const std::vector<std::shared_ptr<void>> batch = std::exchange(retired_, {});
    }
}

void EventLoop::remove(int fd) noexcept {
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

}  // namespace brokerd
