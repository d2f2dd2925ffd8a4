#include "daemon/tls/tls_connection.h"

#include <openssl/err.h>
#include <openssl/x509.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <utility>

#include "daemon/loop/log.h"
#include "daemon/tls/tls_context.h"

namespace brokerd {
namespace {

using SystemClock = std::chrono::system_clock;

/// Until when the plugin's certificate, and those that vouch for it, are good: what a session of it is good for at
/// most.
SystemClock::time_point verified_until(const SSL* ssl) {
    SystemClock::time_point until = SystemClock::now() + SessionStore::kMaxAge;
    const STACK_OF(X509)* const chain = SSL_get0_verified_chain(ssl);  // none where verification is switched off
    for (int i = 0; chain != nullptr && i < sk_X509_num(chain); ++i) {
        if (const auto expiry = expiry_of(sk_X509_value(chain, i))) until = std::min(until, *expiry);
    }
    return until;
}

/// SSL_get_error() reads the queue, so what is left of earlier trouble must go; mostly nothing is, and looking is
/// cheaper.
void forget_errors() {
    if (ERR_peek_error() != 0) ERR_clear_error();
}

}  // namespace

TlsConnection::TlsConnection(std::shared_ptr<const TlsContext> context, Ssl ssl, int fd, SessionStore& sessions,
                             bool resume)
    : context_{std::move(context)},
      sessions_{sessions},
      transport_{fd, (SSL_get_options(ssl.get()) & SSL_OP_ENABLE_KTLS) != 0},
      ssl_{std::move(ssl)} {
    BIO* const bio = transport_.take_bio();
    SSL_set_bio(ssl_.get(), bio, bio);
    SSL_set_connect_state(ssl_.get());
    SSL_set_app_data(ssl_.get(), this);
    if ((SSL_get_options(ssl_.get()) & SSL_OP_ENABLE_KTLS) != 0) SSL_set_info_callback(ssl_.get(), on_progress);
    if (!resume) return;
    const TlsSession session = sessions_.take(context_, SystemClock::now());
    if (session.session == nullptr || SSL_set_session(ssl_.get(), session.session.get()) != 1) return;
    offered_ = true;
    verified_until_ = session.verified_until;
}

TlsConnection::~TlsConnection() = default;

/// Keeps TLS 1.3 out of the kernel: when the plugin asks for new keys (RFC 8446 4.6.3), OpenSSL 3.0 makes them but
/// never hands them to the kernel, which goes on with the old ones, and the call is lost. TLS 1.2 cannot change keys
/// without renegotiation, which we refuse.
void TlsConnection::on_progress(const SSL* ssl, int, int) noexcept {
    if (SSL_get_state(ssl) != TLS_ST_CR_ENCRYPTED_EXTENSIONS) return;  // TLS 1.3 alone has this message
    SSL_clear_options(static_cast<TlsConnection*>(SSL_get_app_data(ssl))->ssl_.get(), SSL_OP_ENABLE_KTLS);
}

int TlsConnection::handshake() {
    forget_errors();
    const int result = SSL_do_handshake(ssl_.get());
    if (result != 1) return SSL_get_error(ssl_.get(), result);
    note_verification();
    // The kernel hands over one record at a time: there a short read means nothing.
    transport_.start_sparing_reads(!BIO_get_ktls_recv(SSL_get_rbio(ssl_.get())));
    return SSL_ERROR_NONE;
}

/// A resumed handshake shows no certificate: it and what follows from it rest on the verification of the first one.
void TlsConnection::note_verification() {
    if (std::exchange(verification_noted_, true) || SSL_session_reused(ssl_.get()) == 1) return;
    verified_until_ = verified_until(ssl_.get());
}

int TlsConnection::read(char* data, std::size_t size, std::size_t& count) {
    forget_errors();
    errno = 0;
    const int result = SSL_read_ex(ssl_.get(), data, size, &count);
    return result == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), result);
}

int TlsConnection::write(std::string_view bytes, std::size_t& count) {
    if (transport_.has_unsent()) {
        const int sent = send_gathered(count);
        if (sent != SSL_ERROR_NONE || count > 0) return sent;
    }
    // The kernel takes plaintext, and one record needs no collecting.
    if (bytes.size() > TlsTransport::kRecordBytes && !BIO_get_ktls_send(SSL_get_wbio(ssl_.get())))
        return write_gathered(bytes, count);
    forget_errors();
    errno = 0;
    const int result = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &count);
    return result == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), result);
}

int TlsConnection::write_gathered(std::string_view bytes, std::size_t& count) {
    transport_.start_gathering();
    int problem = SSL_ERROR_NONE;
    while (!bytes.empty() && transport_.has_room()) {
        forget_errors();
        std::size_t taken = 0;
        const std::string_view record = bytes.substr(0, TlsTransport::kRecordBytes);
        const int result = SSL_write_ex(ssl_.get(), record.data(), record.size(), &taken);
        if (result != 1) {
            problem = SSL_get_error(ssl_.get(), result);
            break;
        }
        transport_.end_record(taken);
        bytes.remove_prefix(taken);
    }
    const int sent = send_gathered(count);
    return count > 0 || problem == SSL_ERROR_NONE ? sent : problem;
}

/// Bytes are reported once their record has left whole; until then the caller brings them again.
int TlsConnection::send_gathered(std::size_t& count) {
    const TlsTransport::Sent sent = transport_.send();
    count = sent.plaintext;
    if (count > 0 || sent.code == 0) return SSL_ERROR_NONE;
    if (sent.code == EAGAIN) return SSL_ERROR_WANT_WRITE;
    errno = sent.code;
    return SSL_ERROR_SYSCALL;
}

bool TlsConnection::is_stale() {
    // Only TLS itself can tell session tickets, which a healthy idle connection may bring, from data and the end.
    char byte = 0;
    std::size_t count = 0;
    transport_.note_ready(false);
    return read(&byte, 1, count) != SSL_ERROR_WANT_READ;
}

void TlsConnection::say_goodbye() noexcept {
    if (SSL_is_init_finished(ssl_.get()) != 1) return;
    forget_errors();
    SSL_shutdown(ssl_.get());  // one way
}

int TlsConnection::on_new_session(SSL* ssl, SSL_SESSION* session) noexcept {
    auto& connection = *static_cast<TlsConnection*>(SSL_get_app_data(ssl));
    try {
        connection.note_verification();  // with TLS 1.2 this is within the handshake
        SSL_SESSION_up_ref(session);
        TlsSession kept{std::unique_ptr<SSL_SESSION, TlsSession::Free>{session}, connection.verified_until_};
        connection.sessions_.keep(connection.context_, std::move(kept), SystemClock::now());
    } catch (const std::exception& error) {
        log_error("proxy: a TLS session could not be kept: {}", error.what());  // the next handshake is a full one
    }
    return 0;
}

}  // namespace brokerd
