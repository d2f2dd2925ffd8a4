#include "daemon/registry/net_stream.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "common/os/system_error.h"
#include "daemon/registry/network_proxies.h"
#include "daemon/tls/openssl_client.h"

namespace brokerd {
namespace {

using std::chrono::milliseconds;

struct AddressesFree {
    void operator()(addrinfo* list) const noexcept { ::freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, AddressesFree>;

RegistryError unreachable(std::string message) {
    return {RegistryErrorKind::unreachable, std::move(message), true, {}};
}

RegistryError cancelled() {
    return {RegistryErrorKind::cancelled, "the transfer was cancelled", false, {}};
}

RegistryResult<Addresses> resolve(const std::string& host, std::uint16_t port, const std::string& peer) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG;
    addrinfo* list = nullptr;
    // Loopback addresses do not count for AI_ADDRCONFIG: on a host without network it would hide them.
    if (is_loopback(host)) hints.ai_flags = AI_NUMERICSERV;
    const int code = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
    if (code == 0) return Addresses{list};
    auto error = unreachable(fmt::format("cannot find the address of {}: {}; check the name and the host's resolver",
                                         peer, code == EAI_SYSTEM ? errno_text(errno) : ::gai_strerror(code)));
    error.transient = code == EAI_AGAIN || code == EAI_SYSTEM;
    return fail(std::move(error));
}

/// One address; `problem` says why it does not work.
RegistryResult<UniqueFd> connect_to(const addrinfo& address, milliseconds time, int cancel_fd) {
    UniqueFd socket{
        ::socket(address.ai_family, address.ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address.ai_protocol)};
    if (!socket) return fail(unreachable(errno_text(errno)));
    int code = 0;
    if (::connect(socket.get(), address.ai_addr, address.ai_addrlen) != 0) {
        if (errno != EINPROGRESS && errno != EINTR) return fail(unreachable(errno_text(errno)));
        switch (TransferPatience{time, time, cancel_fd}.wait(socket.get(), POLLOUT)) {
            case TransferPatience::Outcome::ready:
                break;
            case TransferPatience::Outcome::cancelled:
                return fail(cancelled());
            case TransferPatience::Outcome::stalled:
            case TransferPatience::Outcome::expired:
                return fail(unreachable(fmt::format("no answer within {} s", time.count() / 1000)));
        }
        socklen_t size = sizeof code;
        if (::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &code, &size) != 0) code = errno;
    }
    if (code != 0) return fail(unreachable(errno_text(code)));
    const int on = 1;
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return socket;
}

}  // namespace

TransferPatience::Outcome TransferPatience::wait(int fd, short events) const {
    const auto stalled_at = std::chrono::steady_clock::now() + stall_;
    for (;;) {
        const auto now = std::chrono::steady_clock::now();
        if (now >= until_) return Outcome::expired;
        if (now >= stalled_at) return Outcome::stalled;
        std::array<pollfd, 2> polled{{{cancel_fd_, POLLIN, 0}, {fd, events, 0}}};
        const auto time = std::chrono::ceil<milliseconds>(std::min(until_, stalled_at) - now);
        const int count = ::poll(polled.data(), polled.size(), static_cast<int>(std::min<long>(time.count(), 60'000)));
        if (polled[0].revents != 0 && count > 0) return Outcome::cancelled;
        if (count > 0) return Outcome::ready;
        if (count < 0 && errno != EINTR) throw_errno("poll");
    }
}

bool pause_unless_cancelled(milliseconds time, int cancel_fd) {
    return TransferPatience{time, time, cancel_fd}.wait(-1, 0) == TransferPatience::Outcome::cancelled;
}

RegistryResult<NetStream> NetStream::connect(const std::string& host, std::uint16_t port, milliseconds time,
                                             int cancel_fd) {
    const std::string peer = fmt::format("{}:{}", host, port);
    const auto addresses = resolve(host, port, peer);
    if (!addresses) return fail(addresses.error());
    std::string why = "it has no address";
    for (const addrinfo* at = addresses->get(); at != nullptr; at = at->ai_next) {
        auto socket = connect_to(*at, time, cancel_fd);
        if (socket) return NetStream{std::move(*socket), peer};
        if (socket.error().kind == RegistryErrorKind::cancelled) return fail(socket.error());
        why = socket.error().message;
    }
    return fail(unreachable(fmt::format("cannot connect to {}: {}", peer, why)));
}

Failure<RegistryError> NetStream::broken(std::string why) const {
    return fail(unreachable(fmt::format("the connection to {} broke: {}", peer_, why)));
}

RegistryResult<std::monostate> NetStream::wait(short events, const TransferPatience& patience) const {
    switch (patience.wait(socket_.get(), events)) {
        case TransferPatience::Outcome::ready:
            return std::monostate{};
        case TransferPatience::Outcome::cancelled:
            return fail(cancelled());
        case TransferPatience::Outcome::stalled:
            return fail(unreachable(fmt::format("{} stalled: nothing came or went for {:.3g} s", peer_,
                                                static_cast<double>(patience.stall().count()) / 1000)));
        case TransferPatience::Outcome::expired:
            break;
    }
    return fail(unreachable(fmt::format("{} is too slow: the time for this request is over", peer_)));
}

RegistryResult<std::monostate> NetStream::wait_for_tls(int result, const TransferPatience& patience) const {
    const int code = errno;  // before another call changes it
    switch (SSL_get_error(ssl_.get(), result)) {
        case SSL_ERROR_WANT_READ:
            return wait(POLLIN, patience);
        case SSL_ERROR_WANT_WRITE:
            return wait(POLLOUT, patience);
        case SSL_ERROR_SYSCALL:
            return broken(code == 0 ? "it was closed" : errno_text(code));
        default:
            if (ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
                return broken("it was closed");
            return broken("TLS: " + last_openssl_reason());
    }
}

RegistryResult<std::monostate> NetStream::start_tls(SSL_CTX& context, const std::string& host,
                                                    const TransferPatience& patience) {
    ssl_.reset(SSL_new(&context));
    if (!ssl_ || SSL_set_fd(ssl_.get(), socket_.get()) != 1)
        return broken("TLS cannot be set up: " + last_openssl_reason());
    const bool verifies = SSL_get_verify_mode(ssl_.get()) != SSL_VERIFY_NONE;
    if (!require_name(*ssl_, host)) return broken("TLS: the name to verify cannot be set");
    for (;;) {
        ERR_clear_error();
        errno = 0;
        const int result = SSL_connect(ssl_.get());
        if (result == 1) return std::monostate{};
        if (const long verdict = SSL_get_verify_result(ssl_.get()); verifies && verdict != X509_V_OK) {
            return fail(RegistryError{
                RegistryErrorKind::invalid,
                fmt::format("the certificate of {} is not accepted: {}; check the name, or put the authority that "
                            "signed it into the registry's certificate directory as ca.crt",
                            peer_, X509_verify_cert_error_string(verdict)),
                false,
                {}});
        }
        if (ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_WRONG_VERSION_NUMBER) {
            return fail(RegistryError{
                RegistryErrorKind::invalid,
                fmt::format("{} does not speak TLS; if that is meant to be, name it in brokerd's --insecure-registry",
                            host),
                false,
                {}});
        }
        // OpenSSL numbers the reasons of received alerts from here on.
        got_tls_alert_ = ERR_GET_REASON(ERR_peek_last_error()) > SSL_AD_REASON_OFFSET;
        if (auto waited = wait_for_tls(result, patience); !waited) return waited;
    }
}

RegistryResult<std::size_t> NetStream::read(char* bytes, std::size_t size, const TransferPatience& patience) {
    for (;;) {
        if (ssl_) {
            ERR_clear_error();
            errno = 0;
            const int count = SSL_read(ssl_.get(), bytes, static_cast<int>(std::min<std::size_t>(size, 1U << 30U)));
            if (count > 0) return static_cast<std::size_t>(count);
            if (SSL_get_error(ssl_.get(), count) == SSL_ERROR_ZERO_RETURN) return std::size_t{0};
            if (const auto waited = wait_for_tls(count, patience); !waited) return fail(waited.error());
            continue;
        }
        const ssize_t count = ::recv(socket_.get(), bytes, size, 0);
        if (count >= 0) return static_cast<std::size_t>(count);
        if (errno == EINTR) continue;
        if (errno != EAGAIN) return broken(errno_text(errno));
        if (const auto waited = wait(POLLIN, patience); !waited) return fail(waited.error());
    }
}

RegistryResult<std::monostate> NetStream::write(std::string_view bytes, const TransferPatience& patience) {
    while (!bytes.empty()) {
        ssize_t count = 0;
        if (ssl_) {
            ERR_clear_error();
            errno = 0;
            count =
                SSL_write(ssl_.get(), bytes.data(), static_cast<int>(std::min<std::size_t>(bytes.size(), 1U << 20U)));
            if (count <= 0) {
                if (auto waited = wait_for_tls(static_cast<int>(count), patience); !waited) return waited;
                continue;
            }
        } else {
            count = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (count < 0) {
                if (errno == EINTR) continue;
                if (errno != EAGAIN) return broken(errno_text(errno));
                if (auto waited = wait(POLLOUT, patience); !waited) return waited;
                continue;
            }
        }
        bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return std::monostate{};
}

bool NetStream::is_stale() const {
    pollfd polled{socket_.get(), POLLIN, 0};
    return ::poll(&polled, 1, 0) != 0;
}

}  // namespace brokerd
