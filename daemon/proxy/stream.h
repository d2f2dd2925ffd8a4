#pragma once

#include <openssl/ssl.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/os/unique_fd.h"

namespace brokerd {

/// A non-blocking byte stream over a connected socket, plain or TLS. Thread: one proxy thread's.
class Stream {
public:
    enum class Status : std::uint8_t {
        ok,     ///< `count` bytes were moved, at least one
        again,  ///< nothing now; the loop will tell when
        end,    ///< the peer has finished sending (in TLS: by close_notify)
        error,  ///< broken; `error()` says why
    };
    struct Moved {
        Status status;
        std::size_t count = 0;
    };
    struct SslFree {
        void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
    };
    using Ssl = std::unique_ptr<SSL, SslFree>;

    Stream() noexcept = default;
    explicit Stream(UniqueFd socket) noexcept : socket_{std::move(socket)} {}

    /// Puts TLS, as a client, over the connected socket. Call handshake() until it no longer says `again`.
    void start_tls(Ssl ssl);
    /// ok: done (count is 0). error: refused, with the reason.
    [[nodiscard]] Moved handshake();

    [[nodiscard]] Moved read(char* data, std::size_t size);
    [[nodiscard]] Moved write(std::string_view bytes);

    /// Whether the peer has closed or sent something while nothing was expected of it: the connection cannot be reused.
    [[nodiscard]] bool is_stale();

    [[nodiscard]] int fd() const noexcept { return socket_.get(); }
    [[nodiscard]] bool is_open() const noexcept { return static_cast<bool>(socket_); }
    [[nodiscard]] bool is_tls() const noexcept { return ssl_ != nullptr; }
    [[nodiscard]] const std::string& error() const noexcept { return error_; }
    /// The failure was TLS refusing the peer, or the peer refusing us: trying again will not help.
    [[nodiscard]] bool tls_refused() const noexcept { return tls_refused_; }
    /// No more will be written: lets the peer see the end while its own bytes are still read.
    void shut_down_writing() noexcept;
    void close() noexcept;

private:
    Moved fail_with_errno(const char* operation);
    Moved ssl_result(int result);

    UniqueFd socket_;
    Ssl ssl_;
    std::string error_;
    bool tls_refused_ = false;
};

}  // namespace brokerd
