#pragma once

#include <cstdint>

namespace brokerd {

/// What the kernel says of this process; what it does not say is 0.
struct ProcessFigures {
    double cpu_seconds = 0;
    double start_time = 0;  ///< seconds since the epoch
    std::uint64_t open_fds = 0;
    std::uint64_t max_fds = 0;
    std::uint64_t virtual_bytes = 0;
    std::uint64_t resident_bytes = 0;
    std::uint64_t threads = 0;
};

/// Reads /proc. Thread: any but the core loop's, because listing descriptors takes milliseconds where there are many.
[[nodiscard]] ProcessFigures read_process_figures();

}  // namespace brokerd
