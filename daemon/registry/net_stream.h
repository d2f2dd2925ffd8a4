#pragma once

#include <openssl/ssl.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "common/os/unique_fd.h"
#include "daemon/registry/registry_error.h"
#include "daemon/registry/transfer_patience.h"

namespace brokerd {

/// Blocking bytes over TCP, plain or with TLS, every wait bounded by a TransferPatience. Nothing here raises SIGPIPE.
/// Errors name the peer and are transient, except where TLS verification says no.
/// Thread: one at a time.
class NetStream {
public:
    /// Tries all addresses of `host`, each for `time`. Name resolution is the system's, with the system's time-outs:
    /// the one wait that cancellation does not end.
    [[nodiscard]] static RegistryResult<NetStream> connect(const std::string& host, std::uint16_t port,
                                                           std::chrono::milliseconds time, int cancel_fd);

    /// Speaks TLS from here on, as a client, with `host` for SNI and, where `context` verifies, for the certificate.
    /// An error of kind `invalid` says that the certificate is not accepted.
    [[nodiscard]] RegistryResult<std::monostate> start_tls(SSL_CTX& context, const std::string& host,
                                                           const TransferPatience& patience);

    /// After start_tls() has failed: the other side spoke TLS all the same (it sent an alert).
    [[nodiscard]] bool got_tls_alert() const noexcept { return got_tls_alert_; }

    /// At least one byte, or 0 at the end. A TLS stream that ends without saying so is an error.
    [[nodiscard]] RegistryResult<std::size_t> read(char* bytes, std::size_t size, const TransferPatience& patience);
    /// All of `bytes`.
    [[nodiscard]] RegistryResult<std::monostate> write(std::string_view bytes, const TransferPatience& patience);

    /// Whether an idle connection has ended, or brought bytes that nobody asked for.
    [[nodiscard]] bool is_stale() const;

private:
    struct SslFree {
        void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
    };

    NetStream(UniqueFd socket, std::string peer) noexcept : socket_{std::move(socket)}, peer_{std::move(peer)} {}

    [[nodiscard]] RegistryResult<std::monostate> wait(short events, const TransferPatience& patience) const;
    /// Waits for what the TLS operation that returned `result` needs; an error where it failed for good.
    [[nodiscard]] RegistryResult<std::monostate> wait_for_tls(int result, const TransferPatience& patience) const;
    [[nodiscard]] Failure<RegistryError> broken(std::string why) const;

    UniqueFd socket_;
    std::string peer_;  ///< HOST:PORT, for messages
    std::unique_ptr<SSL, SslFree> ssl_;
    bool got_tls_alert_ = false;
};

}  // namespace brokerd
