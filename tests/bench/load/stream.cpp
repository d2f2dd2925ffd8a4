#include "tests/bench/load/stream.h"

#include <openssl/err.h>
#include <sys/socket.h>

#include <cerrno>
#include <stdexcept>
#include <string>

namespace brokerd::bench {
namespace {

Stream::Outcome plain_outcome(ssize_t result, std::size_t wanted) {
    if (result > 0) {
        const auto bytes = static_cast<std::size_t>(result);
        return {.bytes = bytes, .blocked = bytes < wanted};
    }
    const bool again = result < 0 && (errno == EAGAIN || errno == EINTR);
    return {.blocked = again, .over = !again};
}

}  // namespace

std::unique_ptr<SSL_CTX, SslFree> server_context(const char* certificate, const char* key) {
    std::unique_ptr<SSL_CTX, SslFree> context{::SSL_CTX_new(::TLS_server_method())};
    if (!context || ::SSL_CTX_use_certificate_chain_file(context.get(), certificate) != 1 ||
        ::SSL_CTX_use_PrivateKey_file(context.get(), key, SSL_FILETYPE_PEM) != 1) {
        throw std::runtime_error{std::string{"cannot use certificate "} + certificate + " with key " + key};
    }
    ::SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    ::SSL_CTX_set_read_ahead(context.get(), 1);
    ::SSL_CTX_set_default_read_buffer_len(context.get(), 65536);
    return context;
}

Stream::Stream(UniqueFd fd, SSL_CTX* context) : fd_{std::move(fd)} {
    if (context == nullptr) return;
    ssl_.reset(::SSL_new(context));
    if (!ssl_ || ::SSL_set_fd(ssl_.get(), fd_.get()) != 1) throw std::runtime_error{"SSL_new"};
    ::SSL_set_accept_state(ssl_.get());
}

Stream::Outcome Stream::tls_outcome(int result, std::size_t bytes) const {
    const int error = ::SSL_get_error(ssl_.get(), result);
    const bool again = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
    return {.bytes = bytes, .blocked = again, .over = !again};
}

Stream::Outcome Stream::read(char* into, std::size_t size) {
    if (!ssl_) return plain_outcome(::recv(fd_.get(), into, size, 0), size);
    ::ERR_clear_error();
    std::size_t total = 0;
    while (total < size) {  // SSL_read returns one record at most
        std::size_t bytes = 0;
        const int result = ::SSL_read_ex(ssl_.get(), into + total, size - total, &bytes);
        if (result != 1) return tls_outcome(result, total);
        total += bytes;
    }
    return {.bytes = total};
}

Stream::Outcome Stream::write(const char* from, std::size_t size) {
    if (!ssl_) return plain_outcome(::send(fd_.get(), from, size, MSG_NOSIGNAL), size);
    ::ERR_clear_error();
    std::size_t total = 0;
    while (total < size) {
        std::size_t bytes = 0;
        const int result = ::SSL_write_ex(ssl_.get(), from + total, size - total, &bytes);
        if (result != 1) return tls_outcome(result, total);
        total += bytes;
    }
    return {.bytes = total};
}

}  // namespace brokerd::bench
