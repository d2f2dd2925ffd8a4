#include "daemon/shim/journal_output.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace brokerd {
namespace {

/// Ours: journald falls behind for moments only, unless it is stuck. The plugin's pipe bears that long.
constexpr int kPatience = 100;  // milliseconds

/// A value that cannot begin another field.
std::string one_line(std::string text) {
    std::replace_if(
        text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; }, '?');
    return text;
}

iovec piece(std::string_view bytes) {
    return {const_cast<char*>(bytes.data()), bytes.size()};
}

}  // namespace

JournalOutput::JournalOutput(const std::string& id, const std::string& name, std::string socket)
    : socket_path_{std::move(socket)},
      identity_{"SYSLOG_IDENTIFIER=" + one_line(name) + "\nPLUGIN_NAME=" + one_line(name) +
                "\nPLUGIN_ID=" + one_line(id) + '\n'} {}

const std::array<iovec, 3>& JournalOutput::datagram(const LogRecord& record) {
    const bool warns = record.source == LogRecord::Source::broker;
    head_.assign(warns ? "PRIORITY=4\n" : "PRIORITY=6\n");
    head_ += identity_;
    head_ += "PLUGIN_STREAM=";
    head_ += to_text(record.source);
    head_ += record.partial ? "\nPLUGIN_PARTIAL=1\nMESSAGE=" : "\nMESSAGE=";
    // A message has no line feed, which is all that would need the protocol's other form.
    pieces_ = {piece(head_), piece(record.message), piece("\n")};
    return pieces_;
}

bool JournalOutput::write(const LogRecord& record) {
    const std::array<iovec, 3>& pieces = datagram(record);
    const bool fresh = !socket_;
    if (fresh && !connect()) {
        failing_ = true;
        return false;
    }
    bool sent = send(pieces, !failing_);
    // journald may have been started anew, with another socket.
    const bool gone = !sent && (errno == ECONNREFUSED || errno == ENOTCONN || errno == ECONNRESET || errno == EPIPE);
    if (gone) socket_.reset();
    if (gone && !fresh && connect()) sent = send(pieces, !failing_);
    failing_ = !sent;
    return sent;
}

bool JournalOutput::connect() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (socket_path_.size() >= sizeof address.sun_path) return false;
    std::copy(socket_path_.begin(), socket_path_.end(), address.sun_path);
    UniqueFd fresh{socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (!fresh) return false;
    if (::connect(fresh.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return false;
    socket_ = std::move(fresh);
    return true;
}

bool JournalOutput::send(const std::array<iovec, 3>& pieces, bool may_wait) {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(pieces.data());
    message.msg_iovlen = pieces.size();
    for (int tries = 0;; ++tries) {
        if (sendmsg(socket_.get(), &message, MSG_NOSIGNAL) >= 0) return true;
        if (errno == EINTR) continue;
        if (errno != EAGAIN || !may_wait || tries > 0) return false;
        pollfd room{socket_.get(), POLLOUT, 0};
        if (poll(&room, 1, kPatience) <= 0) {
            errno = EAGAIN;
            return false;
        }
    }
}

}  // namespace brokerd
