#pragma once

#include <openssl/ssl.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string_view>

#include "daemon/tls/session_store.h"
#include "daemon/tls/tls_transport.h"

namespace brokerd {

/// Our side of TLS on one connected socket. What the functions return is an SSL_ERROR_… code; 0 (SSL_ERROR_NONE) where
/// something was moved or done. After SSL_ERROR_SSL or SSL_ERROR_SYSCALL, errno and OpenSSL's error queue say why.
/// Thread: one proxy thread's. Borrows the socket and the store.
class TlsConnection {
public:
    struct Free {
        void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
    };
    using Ssl = std::unique_ptr<SSL, Free>;

    /// `ssl` is fresh, of `context`. Offers a session of `sessions` to the plugin where there is one and `resume` is
    /// set, and leaves there what the plugin gives for the next connection.
    TlsConnection(std::shared_ptr<const TlsContext> context, Ssl ssl, int fd, SessionStore& sessions, bool resume);
    ~TlsConnection();
    TlsConnection(const TlsConnection&) = delete;
    TlsConnection& operator=(const TlsConnection&) = delete;

    [[nodiscard]] int handshake();
    [[nodiscard]] int read(char* data, std::size_t size, std::size_t& count);
    /// Where it returns SSL_ERROR_WANT_…, the next call must begin with the same bytes.
    [[nodiscard]] int write(std::string_view bytes, std::size_t& count);
    /// Whether an idle connection has ended or brought data. Session tickets, which it may bring, are kept.
    [[nodiscard]] bool is_stale();
    /// See TlsTransport::note_ready().
    void note_ready(bool at_end) noexcept { transport_.note_ready(at_end); }
    /// Tells the plugin that this is the end, not a cut. Best effort.
    void say_goodbye() noexcept;

    /// A session was offered: if the handshake fails, it may be worth another try without.
    [[nodiscard]] bool offered_session() const noexcept { return offered_; }
    /// See SessionStore::give_up().
    void give_up_sessions(bool for_good) { sessions_.give_up(context_, for_good); }
    [[nodiscard]] const SSL& ssl() const noexcept { return *ssl_; }

    /// OpenSSL's callback for a new session: for TlsContext. Returns 1 where it has kept the reference.
    static int on_new_session(SSL* ssl, SSL_SESSION* session) noexcept;

private:
    static void on_progress(const SSL* ssl, int where, int result) noexcept;

    [[nodiscard]] int write_gathered(std::string_view bytes, std::size_t& count);
    [[nodiscard]] int send_gathered(std::size_t& count);
    void note_verification();

    const std::shared_ptr<const TlsContext> context_;
    SessionStore& sessions_;
    TlsTransport transport_;
    Ssl ssl_;  // after its transport, which it uses to the end
    bool offered_ = false;
    bool verification_noted_ = false;
    std::chrono::system_clock::time_point verified_until_{};
};

}  // namespace brokerd
