#include "daemon/runtime/cancellation.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <cstdint>

#include "common/os/system_error.h"

namespace brokerd {

Cancellation::Cancellation() : event_{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {
    if (!event_) throw_errno("eventfd");
}

void Cancellation::cancel() const noexcept {
    const std::uint64_t one = 1;
    // Can only fail where the counter is full, that is, where it has been cancelled already.
    [[maybe_unused]] const auto ignored = ::write(event_.get(), &one, sizeof one);
}

bool Cancellation::is_cancelled() const noexcept {
    pollfd event{event_.get(), POLLIN, 0};
    return poll(&event, 1, 0) == 1;
}

}  // namespace brokerd
