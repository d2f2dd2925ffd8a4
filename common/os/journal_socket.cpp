#include "common/os/journal_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace brokerd {

bool JournalSocket::send(std::span<const iovec> pieces, std::chrono::milliseconds patience) {
    const bool fresh = !socket_;
    if (fresh && !connect()) return false;
    if (send_now(pieces, patience)) return true;
    // journald may have been started anew, with another socket. Whatever else it is, a new one is worth a try.
    const bool gone = errno != EAGAIN && errno != EMSGSIZE;
    if (gone) socket_.reset();
    return gone && !fresh && connect() && send_now(pieces, patience);
}

void JournalSocket::wait_for_room(std::chrono::milliseconds patience) const noexcept {
    pollfd room{socket_.get(), POLLOUT, 0};  // without a socket, this is a pause
    poll(&room, 1, static_cast<int>(patience.count()));
}

bool JournalSocket::connect() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path_.size() >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return false;
    }
    std::copy(path_.begin(), path_.end(), address.sun_path);
    UniqueFd fresh{socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (!fresh) return false;
    if (::connect(fresh.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return false;
    socket_ = std::move(fresh);
    return true;
}

bool JournalSocket::send_now(std::span<const iovec> pieces, std::chrono::milliseconds patience) const {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(pieces.data());
    message.msg_iovlen = pieces.size();
    for (int tries = 0;; ++tries) {
        if (sendmsg(socket_.get(), &message, MSG_NOSIGNAL) >= 0) return true;
        if (errno == EINTR) continue;
        if (errno != EAGAIN || patience.count() == 0 || tries > 0) return false;
        wait_for_room(patience);
    }
}

}  // namespace brokerd
