#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "common/os/system_error.h"
#include "common/os/unique_fd.h"

namespace brokerd {

/// Work that other threads leave for one thread, first in, first out. `Arguments` is what the owner passes to each
/// piece. Thread: any; take() is the owner's. What comes after close() is dropped.
template <class... Arguments>
class Mailbox {
public:
    using Work = std::function<void(Arguments...)>;

    Mailbox() : wake_up_{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {
        if (!wake_up_) throw_errno("eventfd");
    }

    void post(Work work) {
        const std::lock_guard lock{mutex_};
        if (closed_) return;
        work_.push_back(std::move(work));
        if (work_.size() == 1) wake();
    }
    /// From now on closed() is true and work is dropped; wakes the owner.
    void close() {
        const std::lock_guard lock{mutex_};
        closed_ = true;
        wake();
    }
    [[nodiscard]] bool closed() const {
        const std::lock_guard lock{mutex_};
        return closed_;
    }

    /// For the owner: all that has come in, and a descriptor that is readable when there is some.
    [[nodiscard]] std::vector<Work> take() {
        std::uint64_t count = 0;
        const std::lock_guard lock{mutex_};
        [[maybe_unused]] const auto ignored = ::read(wake_up_.get(), &count, sizeof count);
        return std::exchange(work_, {});
    }
    [[nodiscard]] int descriptor() const noexcept { return wake_up_.get(); }

private:
    void wake() {
        const std::uint64_t one = 1;
        // Can only fail where the counter is full, that is, where the owner has been woken already.
        [[maybe_unused]] const auto ignored = ::write(wake_up_.get(), &one, sizeof one);
    }

    UniqueFd wake_up_;
    mutable std::mutex mutex_;  ///< guards the two below
    std::vector<Work> work_;
    bool closed_ = false;
};

}  // namespace brokerd
