#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "common/os/unique_fd.h"

namespace brokerd::bench {

/// What a Poller calls when a descriptor is ready.
class Ready {
public:
    virtual ~Ready() = default;
    virtual void on_ready(std::uint32_t events) = 0;
};

/// Edge-triggered epoll for one thread. Descriptors stay their owners' and are forgotten when they are closed.
class Poller {
public:
    Poller();
    void watch(int fd, std::uint32_t events, Ready& ready);
    /// Changes the events; what is ready already is reported again.
    void rewatch(int fd, std::uint32_t events, Ready& ready);
    /// Keeps `object` alive until the present batch of events is done with: one of them may still refer to it.
    void retire(std::shared_ptr<void> object) { retired_.push_back(std::move(object)); }
    /// One batch of events; waits for it at most `timeout` milliseconds, for ever if negative.
    void poll(int timeout);

private:
    UniqueFd epoll_;
    std::vector<std::shared_ptr<void>> retired_;
};

}  // namespace brokerd::bench
