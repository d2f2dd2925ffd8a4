#include "daemon/control/http_connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace brokerd {
namespace {

/// More than the largest head; a body moves on into the parser at each step.
constexpr std::size_t kMaxInputBytes = std::size_t{128} * 1024;

bool try_again(int code) {
    return code == EAGAIN || code == EINTR;
}

}  // namespace

std::uint32_t HttpConnection::interest() const noexcept {
    switch (state) {
        case State::receiving:
        case State::draining:
            return EPOLLIN;
        case State::answering:
            return 0;  // hang-up and errors are always reported
        case State::working:
            return awaits_body ? static_cast<std::uint32_t>(EPOLLIN) : 0;
        case State::replying:
            return queued() != 0 ? static_cast<std::uint32_t>(EPOLLOUT) : 0;
        case State::streaming:
            return (queued() != 0 ? static_cast<std::uint32_t>(EPOLLOUT) : 0U) |
                   (ends_with_input ? static_cast<std::uint32_t>(EPOLLRDHUP) : 0U);
    }
    return 0;
}

bool HttpConnection::has_begun() const {
    return !input.empty() || parser.end_of_input() != RequestParser::Progress::need_more;
}

bool HttpConnection::has_unread() const noexcept {
    char next = 0;
    return ::recv(socket_.get(), &next, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

void HttpConnection::end_input() noexcept {
    ::shutdown(socket_.get(), SHUT_RD);
    input_ended_ = true;
}

HttpConnection::Io HttpConnection::read() {
    std::array<char, 16384> buffer;
    if (input.size() >= kMaxInputBytes) return Io::would_block;
    const ssize_t count = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count < 0) return try_again(errno) ? Io::would_block : Io::failed;
    if (count == 0) return Io::end;
    input.append(buffer.data(), static_cast<std::size_t>(count));
    return Io::progress;
}

HttpConnection::Io HttpConnection::discard() {
    std::array<char, 16384> buffer;
    const ssize_t count = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count < 0) return try_again(errno) ? Io::would_block : Io::failed;
    return count == 0 ? Io::end : Io::progress;
}

ssize_t HttpConnection::send_some() const noexcept {
    // sendmsg(2) only reads what it is given.
    std::array<iovec, 2> pieces{iovec{const_cast<char*>(output_.data()) + written_, output_.size() - written_},
                                iovec{}};
    msghdr message{};
    message.msg_iov = pieces.data();
    message.msg_iovlen = 1;
    if (body_) {
        pieces[1] = {const_cast<char*>(body_->data()) + body_written_, body_->size() - body_written_};
        message.msg_iovlen = 2;
    }
    return ::sendmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

HttpConnection::Io HttpConnection::flush() {
    bool moved = false;
    while (queued() != 0) {
        const ssize_t count = send_some();
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 && errno != EAGAIN) return Io::failed;
        if (count < 0) break;
        const std::size_t first = std::min(static_cast<std::size_t>(count), output_.size() - written_);
        written_ += first;
        body_written_ += static_cast<std::size_t>(count) - first;
        moved = true;
    }
    if (queued() == 0) {
        // An idle connection keeps no buffer.
        output_ = {};
        body_.reset();
        written_ = body_written_ = 0;
        return Io::end;
    }
    if (written_ > output_.size() / 2) {
        output_.erase(0, written_);
        written_ = 0;
    }
    return moved ? Io::progress : Io::would_block;
}

void HttpConnection::queue(std::string_view bytes) {
    output_ += bytes;
}

void HttpConnection::end_output() noexcept {
    ::shutdown(socket_.get(), SHUT_WR);
}

}  // namespace brokerd
