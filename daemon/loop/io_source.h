#pragma once

#include <sys/epoll.h>
#include <systemd/sd-event.h>

#include <cstdint>
#include <functional>

#include "daemon/loop/core_loop.h"

namespace brokerd {

/// Calls back when a descriptor is ready. Borrows the descriptor, which must outlive the source; stops when destroyed,
/// which its own callback may do.
/// Thread: the core loop's.
class IoSource {
public:
    using Ready = std::function<void(std::uint32_t events)>;

    /// `events`: EPOLLIN, EPOLLOUT …; level-triggered unless EPOLLET is among them.
    IoSource(CoreLoop& loop, int fd, std::uint32_t events, Ready on_ready);
    ~IoSource();
    IoSource(const IoSource&) = delete;
    IoSource& operator=(const IoSource&) = delete;

private:
    static int dispatch(sd_event_source* source, int fd, std::uint32_t events, void* self) noexcept;

    CoreLoop& loop_;
    Ready on_ready_;
    sd_event_source* source_ = nullptr;
};

}  // namespace brokerd
