#include "daemon/stream/stream.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include <cerrno>
#include <climits>

#include "common/os/system_error.h"
#include "daemon/tls/tls_context.h"

namespace brokerd {

Stream::Moved Stream::handshake() {
    tls_->note_ready(false);
    return tls_result(tls_->handshake(), 0);
}

Stream::Moved Stream::read(char* data, std::size_t size) {
    if (tls_) {
        std::size_t count = 0;
        const int code = tls_->read(data, size, count);
        return tls_result(code, count);
    }
    const ssize_t count = ::recv(socket_.get(), data, size, 0);
    if (count > 0) return {Status::ok, static_cast<std::size_t>(count)};
    if (count == 0) return {Status::end};
    return fail_with_errno("reading");
}

Stream::Moved Stream::write(std::string_view bytes) {
    if (tls_) {
        std::size_t count = 0;
        const int code = tls_->write(bytes, count);
        return tls_result(code, count);
    }
    const ssize_t count = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count > 0) return {Status::ok, static_cast<std::size_t>(count)};
    return fail_with_errno("writing");
}

Stream::Moved Stream::splice_in(int pipe, std::size_t count) {
    const ssize_t moved =
        ::splice(socket_.get(), nullptr, pipe, nullptr, count, SPLICE_F_NONBLOCK | SPLICE_F_MOVE | SPLICE_F_MORE);
    if (moved > 0) return {Status::ok, static_cast<std::size_t>(moved)};
    if (moved == 0) return {Status::end};
    return fail_with_errno("reading");
}

Stream::Moved Stream::splice_out(int pipe, std::size_t count) {
    const ssize_t moved = ::splice(pipe, nullptr, socket_.get(), nullptr, count, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (moved > 0) return {Status::ok, static_cast<std::size_t>(moved)};
    if (moved == 0) return {Status::again};
    return fail_with_errno("writing");
}

Stream::Moved Stream::fail_with_errno(const char* operation) {
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return {Status::again};
    error_ = std::string{operation} + " failed: " + errno_text(errno);
    return {Status::error};
}

Stream::Moved Stream::tls_result(int code, std::size_t count) {
    const int saved_errno = errno;
    switch (code) {
        case SSL_ERROR_NONE:
            return {Status::ok, count};
        case SSL_ERROR_WANT_READ:
        case SSL_ERROR_WANT_WRITE:
            return {Status::again};
        case SSL_ERROR_ZERO_RETURN:
            return {Status::end};
        case SSL_ERROR_SYSCALL:
            error_ =
                saved_errno == 0 ? "the TLS connection was closed without notice" : "TLS: " + errno_text(saved_errno);
            return {Status::error};
        default:
            error_ = describe_tls_failure(tls_->ssl());
            // A connection cut in the middle (truncation) is the network's doing; all else is a refusal.
            tls_refused_ = ERR_GET_REASON(ERR_peek_last_error()) != SSL_R_UNEXPECTED_EOF_WHILE_READING;
            return {Status::error};
    }
}

bool Stream::is_stale() {
    if (tls_) return tls_->is_stale();
    char byte = 0;
    const ssize_t count = ::recv(socket_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return count >= 0 || (errno != EAGAIN && errno != EINTR);
}

void Stream::shut_down_writing() noexcept {
    ::shutdown(socket_.get(), SHUT_WR);
}

void Stream::shut_down_reading() noexcept {
    ::shutdown(socket_.get(), SHUT_RD);
}

void Stream::close() noexcept {
    if (tls_) tls_->say_goodbye();
    tls_.reset();
    socket_.reset();
}

}  // namespace brokerd
