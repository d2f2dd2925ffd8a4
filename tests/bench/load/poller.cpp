#include "tests/bench/load/poller.h"

#include <sys/epoll.h>

#include <array>

#include "common/os/system_error.h"

namespace brokerd::bench {
namespace {

void control(int epoll, int operation, int fd, std::uint32_t events, Ready& ready) {
    epoll_event event{};
    event.events = events | static_cast<std::uint32_t>(EPOLLET);
    event.data.ptr = &ready;
    if (::epoll_ctl(epoll, operation, fd, &event) != 0) throw_errno("epoll_ctl");
}

}  // namespace

Poller::Poller() : epoll_{::epoll_create1(EPOLL_CLOEXEC)} {
    if (!epoll_) throw_errno("epoll_create1");
}

void Poller::watch(int fd, std::uint32_t events, Ready& ready) {
    control(epoll_.get(), EPOLL_CTL_ADD, fd, events, ready);
}

void Poller::rewatch(int fd, std::uint32_t events, Ready& ready) {
    control(epoll_.get(), EPOLL_CTL_MOD, fd, events, ready);
}

void Poller::poll(int timeout) {
    std::array<epoll_event, 512> events;
    const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout);
    if (count < 0 && errno != EINTR) throw_errno("epoll_wait");
    for (int index = 0; index < count; ++index) {
        const epoll_event& event = events[static_cast<std::size_t>(index)];
        static_cast<Ready*>(event.data.ptr)->on_ready(event.events);
    }
    retired_.clear();
}

}  // namespace brokerd::bench
