#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace brokerd {

/// The process that made a Unix connection.
struct PeerProcess {
    pid_t pid = 0;     ///< 0: it is not visible from here (another PID namespace)
    std::string name;  ///< what it calls itself; empty where it cannot be told any more
};

/// Who made `connection`, which was accepted at `accepted` (ticks_since_boot()). The number that the kernel keeps with
/// a connection may be another process's by now: the name is told only of the very process that connected, which a
/// pidfd proves (SO_PEERPIDFD, Linux 6.5), or on older kernels that it was there before the connection.
/// Thread: any; never waits.
[[nodiscard]] PeerProcess peer_process(int connection, std::uint64_t accepted);

}  // namespace brokerd
