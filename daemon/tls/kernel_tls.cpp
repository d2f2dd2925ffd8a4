#include "daemon/tls/kernel_tls.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>

#include "common/os/unique_fd.h"

namespace brokerd {

bool has_kernel_tls() {
    // The kernel looks for the module first and at the connection after that: on a socket that is not connected yet,
    // ENOTCONN says that the module is there (tcp_set_ulp() since Linux 4.13).
    const UniqueFd probe{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    return probe && !attach_kernel_tls(probe.get()) && errno == ENOTCONN;
}

bool attach_kernel_tls(int fd) noexcept {
    return ::setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof "tls") == 0;
}

}  // namespace brokerd
