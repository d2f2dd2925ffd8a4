#pragma once

#include <chrono>

namespace brokerd {

/// Bounds the waits of one exchange: each by the stall time, all together by a deadline, and all by cancellation.
/// Thread: one at a time. Borrows the descriptor.
class TransferPatience {
public:
    enum class Outcome {
        ready,
        stalled,    ///< nothing moved for the stall time
        expired,    ///< the deadline has passed
        cancelled,  ///< the descriptor became readable or hung up
    };

    TransferPatience(std::chrono::milliseconds stall, std::chrono::milliseconds total, int cancel_fd) noexcept
        : stall_{stall}, until_{std::chrono::steady_clock::now() + total}, cancel_fd_{cancel_fd} {}

    /// Until `fd` has one of poll()'s `events`, an error or the end.
    [[nodiscard]] Outcome wait(int fd, short events) const;
    /// Moves the deadline.
    void extend(std::chrono::milliseconds time) noexcept { until_ += time; }
    [[nodiscard]] std::chrono::milliseconds stall() const noexcept { return stall_; }

private:
    std::chrono::milliseconds stall_;
    std::chrono::steady_clock::time_point until_;
    int cancel_fd_;
};

/// Waits, and is woken by cancellation: true where it was.
[[nodiscard]] bool pause_unless_cancelled(std::chrono::milliseconds time, int cancel_fd);

}  // namespace brokerd
