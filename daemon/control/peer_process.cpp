#include "daemon/control/peer_process.h"

#include <poll.h>
#include <sys/socket.h>

#include <optional>

#include "common/os/process_facts.h"
#include "common/os/unique_fd.h"

namespace brokerd {
namespace {

#ifdef SO_PEERPIDFD
constexpr int kPeerPidfd = SO_PEERPIDFD;
#else
constexpr int kPeerPidfd = 77;  // asm-generic/socket.h; Debian 12's headers are older
#endif

/// The pidfd of the process that connected. Nothing on an older kernel, or where that process is gone.
UniqueFd peer_pidfd(int connection) {
    int descriptor = -1;
    socklen_t bytes = sizeof descriptor;
    if (::getsockopt(connection, SOL_SOCKET, kPeerPidfd, &descriptor, &bytes) != 0) return UniqueFd{};
    return UniqueFd{descriptor};
}

bool is_alive(const UniqueFd& pidfd) {
    pollfd waiting{pidfd.get(), POLLIN, 0};
    return ::poll(&waiting, 1, 0) == 0;
}

}  // namespace

PeerProcess peer_process(int connection, std::uint64_t accepted) {
    ucred credentials{};
    socklen_t bytes = sizeof credentials;
    if (::getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &credentials, &bytes) != 0 || credentials.pid <= 0) return {};
    const UniqueFd pidfd = peer_pidfd(connection);
    PeerProcess peer{credentials.pid, process_name(credentials.pid)};
    // After the reading: what was alive then has not given its number away before.
    const auto start = process_start(peer.pid);
    const bool proven = pidfd ? is_alive(pidfd) : start && *start <= accepted;
    if (!proven) peer.name.clear();
    return peer;
}

}  // namespace brokerd
