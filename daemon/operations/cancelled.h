#pragma once

#include <poll.h>

namespace brokerd {

/// Whether the operation with this `cancelled` descriptor is to be given up; see Job::cancelled().
[[nodiscard]] inline bool is_cancelled(int cancelled) {
    pollfd poll{cancelled, POLLIN, 0};
    return ::poll(&poll, 1, 0) > 0;
}

}  // namespace brokerd
