#pragma once

#include "common/os/unique_fd.h"

namespace brokerd {

/// Tells threads that wait that they are to give up, once and for good. Thread: any.
class Cancellation {
public:
    Cancellation();

    void cancel() const noexcept;
    [[nodiscard]] bool is_cancelled() const noexcept;
    /// Readable once it is cancelled; for poll(2).
    [[nodiscard]] int descriptor() const noexcept { return event_.get(); }

private:
    UniqueFd event_;
};

}  // namespace brokerd
