#include "daemon/tls/tls_context.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <ctime>
#include <stdexcept>
#include <system_error>

#include "daemon/tls/cipher_order.h"
#include "daemon/tls/kernel_tls.h"
#include "daemon/tls/openssl_client.h"

namespace brokerd {
namespace {

/// Ours: what one read takes in at most, two records: with more, what is decrypted and copied falls out of the fastest
/// cache (measured for 1 GiB bodies: daemon/README.md, Decisions).
constexpr std::size_t kReadBufferBytes = std::size_t{34} << 10;

/// What a verification failure means to somebody who did not write the certificate code.
std::string describe_verification(long result) {
    switch (result) {
        case X509_V_ERR_CERT_HAS_EXPIRED:
            return "its certificate has expired; renew it";
        case X509_V_ERR_CERT_NOT_YET_VALID:
            return "its certificate is not valid yet; check the clocks of both hosts";
        case X509_V_ERR_HOSTNAME_MISMATCH:
        case X509_V_ERR_IP_ADDRESS_MISMATCH:
            return "its certificate is for another host name; use a name from the certificate in the address, or issue "
                   "one that has this name";
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
        case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        case X509_V_ERR_CERT_SIGNATURE_FAILURE:
            return "its certificate is not signed by a trusted authority; set CAFile to the authority that signed it";
        default:
            return fmt::format("its certificate is not accepted ({})", X509_verify_cert_error_string(result));
    }
}

void set_options(SSL_CTX* context) {
    // RFC 8996: TLS 1.0 and 1.1 must not be used.
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
    // An idle connection holds no buffers.
    SSL_CTX_set_mode(context,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    // Sessions are kept by the connection's thread, not by OpenSSL: its own store would be shared, behind a lock, and
    // is not asked by clients.
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, TlsConnection::on_new_session);
    // One read for several records and their headers.
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_default_read_buffer_len(context, kReadBufferBytes);
    prefer_fast_ciphers(context);
}

}  // namespace

std::optional<std::chrono::system_clock::time_point> expiry_of(const X509* certificate) {
    std::tm broken_down{};
    if (certificate == nullptr || ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &broken_down) != 1)
        return std::nullopt;
    return std::chrono::system_clock::from_time_t(timegm(&broken_down));
}

Result<std::shared_ptr<const TlsContext>> TlsContext::load(const TlsSettings& settings, const std::string& host) {
    ERR_clear_error();
    std::shared_ptr<TlsContext> made{new TlsContext};
    made->host_ = host;
    made->context_.reset(SSL_CTX_new(TLS_client_method()));
    SSL_CTX* const context = made->context_.get();
    if (context == nullptr) return fail(fmt::format("TLS cannot be set up: {}", last_openssl_reason()));
    made->kernel_tls_ = has_kernel_tls();
    set_options(context);
    SSL_CTX_set_verify(context, settings.insecure_skip_verify ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, nullptr);

    if (!settings.ca_file.empty()) {
        const auto problem =
            pem_problem(settings.ca_file, [&](const char* path) { return SSL_CTX_load_verify_file(context, path); });
        if (problem) {
            return fail(fmt::format("CAFile {} cannot be used: {}; it must be a readable PEM file of certificates",
                                    settings.ca_file, *problem));
        }
    } else if (!settings.insecure_skip_verify && SSL_CTX_set_default_verify_paths(context) != 1) {
        return fail(
            fmt::format("the system's certificate store cannot be read: {}; install ca-certificates or set CAFile",
                        last_openssl_reason()));
    }
    if (!settings.cert_file.empty()) {
        const auto certificate_problem = pem_problem(
            settings.cert_file, [&](const char* path) { return SSL_CTX_use_certificate_chain_file(context, path); });
        if (certificate_problem) {
            return fail(fmt::format(
                "CertFile {} cannot be used: {}; it must be a readable PEM file, the client certificate first",
                settings.cert_file, *certificate_problem));
        }
        refuse_passphrases(*context);
        const auto key_problem = pem_problem(settings.key_file, [&](const char* path) {
            return SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM);
        });
        if (key_problem) {
            return fail(
                fmt::format("KeyFile {} cannot be used: {}; it must be the readable, unencrypted PEM key of CertFile",
                            settings.key_file, *key_problem));
        }
        made->expiry_ = expiry_of(SSL_CTX_get0_certificate(context));
    }
    return std::shared_ptr<const TlsContext>{std::move(made)};
}

std::unique_ptr<TlsConnection> TlsContext::connect(int fd, SessionStore& sessions, bool resume) const {
    TlsConnection::Ssl ssl{SSL_new(context_.get())};
    if (!ssl) throw std::runtime_error{"SSL_new failed: " + last_openssl_reason()};
    if (!require_name(*ssl, host_))
        throw std::runtime_error{"the name to verify cannot be set: " + last_openssl_reason()};
    if (kernel_tls_ && attach_kernel_tls(fd)) SSL_set_options(ssl.get(), SSL_OP_ENABLE_KTLS);
    return std::make_unique<TlsConnection>(shared_from_this(), std::move(ssl), fd, sessions, resume);
}

std::string describe_tls_failure(const SSL& ssl) {
    const long verification = SSL_get_verify_result(&ssl);
    const int reason = ERR_GET_REASON(ERR_peek_last_error());
    switch (reason) {
        case SSL_R_CERTIFICATE_VERIFY_FAILED:
            return "TLS: " + describe_verification(verification);
        case SSL_R_WRONG_VERSION_NUMBER:
        case SSL_R_HTTP_REQUEST:
            return "TLS: the plugin does not speak TLS on this port; use tcp:// without TLSConfig, or turn TLS on in "
                   "the plugin";
        case SSL_R_UNSUPPORTED_PROTOCOL:
        case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
        case SSL_R_NO_PROTOCOLS_AVAILABLE:
            return "TLS: the plugin offers no version from TLS 1.2 on; older ones are not accepted, update the plugin";
        case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
            return "TLS: the plugin requires a client certificate; set CertFile and KeyFile";
        case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
            return "TLS: the plugin refused the handshake; it may require a client certificate (CertFile, KeyFile) or "
                   "other ciphers";
        case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
        case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
        case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
        case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
        case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
            return fmt::format(
                "TLS: the plugin does not accept our client certificate ({}); check CertFile against the authority it "
                "trusts",
                last_openssl_reason());
        default:
            return fmt::format("TLS: {}", last_openssl_reason());
    }
}

}  // namespace brokerd
