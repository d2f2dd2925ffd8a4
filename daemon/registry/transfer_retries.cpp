#include "daemon/registry/transfer_retries.h"

#include <fmt/format.h>

#include <algorithm>

#include "daemon/registry/transfer_patience.h"

namespace brokerd {

std::optional<RegistryError> TransferRetries::refuse(const RegistryError& error) {
    ++attempts_;
    if (!error.transient) return error;
    if (attempts_ >= std::max(limits_.attempts, 1U)) {
        RegistryError final_error = error;
        if (attempts_ > 1) final_error.message += fmt::format(" (after {} attempts)", attempts_);
        return final_error;
    }
    const auto pause = next_pause(error);
    if (limits_.pause) {
        limits_.pause(pause);
    } else if (pause_unless_cancelled(pause, cancel_fd_)) {
        return RegistryError{RegistryErrorKind::cancelled, "the transfer was cancelled", false, {}};
    }
    return std::nullopt;
}

std::chrono::milliseconds TransferRetries::next_pause(const RegistryError& error) {
    if (error.retry_after.count() > 0) return std::min(error.retry_after, limits_.longest_wait);
    auto pause = limits_.first_pause;
    for (unsigned i = 1; i < attempts_ && pause < limits_.longest_pause; ++i) pause *= 2;
    pause = std::min(pause, limits_.longest_pause);
    // Many jobs that failed together do not come back together.
    std::uniform_int_distribution<long> jitter{0, pause.count() / 2};
    return pause - std::chrono::milliseconds{jitter(random_)};
}

}  // namespace brokerd
