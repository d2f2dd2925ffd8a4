#pragma once

#include <openssl/ssl.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "common/endpoint.h"
#include "common/result.h"
#include "daemon/tls/tls_connection.h"

namespace brokerd {

/// The certificates and rules for TLS to one plugin: TLS 1.2 or newer, verified against the CAFile or the system's
/// store, and against the endpoint's host name or address, unless InsecureSkipVerify is written.
/// Immutable once loaded; may be used by several threads.
class TlsContext : public std::enable_shared_from_this<TlsContext> {
public:
    /// Reads the files: blocks, so a worker's job. The error names file, cause and remedy.
    [[nodiscard]] static Result<std::shared_ptr<const TlsContext>> load(const TlsSettings& settings,
                                                                        const std::string& host);

    /// Our side of TLS on `fd`, which is connected to the endpoint and stays its owner's; the rest as TlsConnection has
    /// it.
    [[nodiscard]] std::unique_ptr<TlsConnection> connect(int fd, SessionStore& sessions, bool resume) const;

    /// When the client certificate expires; nothing where there is none.
    [[nodiscard]] std::optional<std::chrono::system_clock::time_point> client_certificate_expiry() const noexcept {
        return expiry_;
    }

private:
    struct ContextFree {
        void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
    };

    TlsContext() = default;

    std::unique_ptr<SSL_CTX, ContextFree> context_;
    std::string host_;
    bool kernel_tls_ = false;  ///< the kernel can encrypt by itself
    std::optional<std::chrono::system_clock::time_point> expiry_;
};

/// When a certificate's time is over; nothing where it cannot be told.
[[nodiscard]] std::optional<std::chrono::system_clock::time_point> expiry_of(const X509* certificate);

/// Why `ssl` failed, in words for an operator, from its verification result and OpenSSL's error queue.
[[nodiscard]] std::string describe_tls_failure(const SSL& ssl);

}  // namespace brokerd
