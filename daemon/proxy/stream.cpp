#include "daemon/proxy/stream.h"

#include <openssl/err.h>
#include <sys/socket.h>

#include <cerrno>
#include <climits>

#include "common/os/system_error.h"
#include "daemon/proxy/tls_context.h"

namespace brokerd {

void Stream::start_tls(Ssl ssl) {
    ssl_ = std::move(ssl);
    SSL_set_fd(ssl_.get(), socket_.get());
    SSL_set_connect_state(ssl_.get());
}

Stream::Moved Stream::handshake() {
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_.get());
    if (result == 1) return {Status::ok};
    return ssl_result(result);
}

Stream::Moved Stream::read(char* data, std::size_t size) {
    if (ssl_) {
        ERR_clear_error();
        std::size_t count = 0;
        const int result = SSL_read_ex(ssl_.get(), data, size, &count);
        if (result == 1) return {Status::ok, count};
        return ssl_result(result);
    }
    const ssize_t count = ::recv(socket_.get(), data, size, 0);
    if (count > 0) return {Status::ok, static_cast<std::size_t>(count)};
    if (count == 0) return {Status::end};
    return fail_with_errno("reading");
}

Stream::Moved Stream::write(std::string_view bytes) {
    if (ssl_) {
        ERR_clear_error();
        std::size_t count = 0;
        const int result = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &count);
        if (result == 1) return {Status::ok, count};
        return ssl_result(result);
    }
    const ssize_t count = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count > 0) return {Status::ok, static_cast<std::size_t>(count)};
    return fail_with_errno("writing");
}

Stream::Moved Stream::fail_with_errno(const char* operation) {
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return {Status::again};
    error_ = std::string{operation} + " failed: " + errno_text(errno);
    return {Status::error};
}

Stream::Moved Stream::ssl_result(int result) {
    const int saved_errno = errno;
    switch (SSL_get_error(ssl_.get(), result)) {
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
            error_ = describe_tls_failure(*ssl_);
            // A connection cut in the middle (truncation) is the network's doing; all else is a refusal.
            tls_refused_ = ERR_GET_REASON(ERR_peek_last_error()) != SSL_R_UNEXPECTED_EOF_WHILE_READING;
            return {Status::error};
    }
}

bool Stream::is_stale() {
    char byte = 0;
    if (ssl_) {
        // Only TLS itself can tell session tickets, which a healthy idle connection may bring, from data and the end.
        ERR_clear_error();
        std::size_t count = 0;
        const int result = SSL_read_ex(ssl_.get(), &byte, 1, &count);
        return result == 1 || SSL_get_error(ssl_.get(), result) != SSL_ERROR_WANT_READ;
    }
    const ssize_t count = ::recv(socket_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return count >= 0 || (errno != EAGAIN && errno != EINTR);
}

void Stream::shut_down_writing() noexcept {
    ::shutdown(socket_.get(), SHUT_WR);
}

void Stream::close() noexcept {
    if (ssl_ && SSL_is_init_finished(ssl_.get()) == 1) {
        ERR_clear_error();
        SSL_shutdown(ssl_.get());  // one way, best effort: lets the plugin tell an end from a cut
    }
    ssl_.reset();
    socket_.reset();
}

}  // namespace brokerd
