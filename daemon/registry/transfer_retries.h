#pragma once

#include <optional>
#include <random>

#include "daemon/registry/registry_error.h"
#include "daemon/registry/registry_settings.h"

namespace brokerd {

/// Decides whether a failed transfer is tried again, and waits before it is. One object per transfer; one thread.
class TransferRetries {
public:
    /// Borrows both.
    TransferRetries(const RegistryRetries& limits, int cancel_fd)
        : limits_{limits}, cancel_fd_{cancel_fd}, random_{std::random_device{}()} {}

    /// Nothing: the pause is over, try again. Otherwise what to return: `error`, with the number of attempts in it, or
    /// that the transfer was cancelled.
    [[nodiscard]] std::optional<RegistryError> refuse(const RegistryError& error);
    /// So much was won that the attempts begin to count anew.
    void note_progress() noexcept { attempts_ = 0; }

private:
    [[nodiscard]] std::chrono::milliseconds next_pause(const RegistryError& error);

    const RegistryRetries& limits_;
    const int cancel_fd_;
    std::minstd_rand random_;
    unsigned attempts_ = 0;
};

/// Makes `attempt()` until it succeeds or its error is final. `on_retry(error)` is called before each further one.
template <class Attempt, class OnRetry>
[[nodiscard]] auto with_retries(const RegistryRetries& limits, int cancel_fd, const Attempt& attempt,
                                const OnRetry& on_retry) -> decltype(attempt()) {
    TransferRetries retries{limits, cancel_fd};
    for (;;) {
        auto result = attempt();
        if (result) return result;
        if (result.error().transient) on_retry(result.error());
        if (auto final_error = retries.refuse(result.error())) return fail(std::move(*final_error));
    }
}

}  // namespace brokerd
