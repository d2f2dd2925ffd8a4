#pragma once

#include <openssl/ssl.h>

#include <cstddef>
#include <memory>

#include "common/os/unique_fd.h"

namespace brokerd::bench {

struct SslFree {
    void operator()(SSL* ssl) const noexcept { ::SSL_free(ssl); }
    void operator()(SSL_CTX* context) const noexcept { ::SSL_CTX_free(context); }
};

/// A server's TLS context with this certificate and key (PEM files), tuned for throughput. Throws std::runtime_error.
[[nodiscard]] std::unique_ptr<SSL_CTX, SslFree> server_context(const char* certificate, const char* key);

/// Bytes over a non-blocking socket, plain or as the TLS server.
class Stream {
public:
    Stream() = default;
    /// `context` null: plain.
    explicit Stream(UniqueFd fd, SSL_CTX* context = nullptr);
    [[nodiscard]] int fd() const noexcept { return fd_.get(); }

    struct Outcome {
        std::size_t bytes = 0;
        bool blocked = false;  ///< no more before the next event
        bool over = false;     ///< the peer ended it, or an error
    };
    Outcome read(char* into, std::size_t size);
    Outcome write(const char* from, std::size_t size);

private:
    [[nodiscard]] Outcome tls_outcome(int result, std::size_t bytes) const;

    UniqueFd fd_;
    std::unique_ptr<SSL, SslFree> ssl_;
};

}  // namespace brokerd::bench
