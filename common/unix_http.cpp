#include "common/unix_http.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/http_exchange.h"
#include "common/os/system_error.h"
#include "common/os/unique_fd.h"

namespace brokerd {
namespace {

using Kind = TransportError::Kind;

/// Ours: a daemon that takes no connection for so long hangs, however long the work would be; and meanwhile no wire is
/// looked at.
constexpr std::chrono::milliseconds kConnectTime{15'000};

Failure<TransportError> failure(Kind kind, std::string detail = {}) {
    return fail(TransportError{kind, std::move(detail)});
}

Failure<TransportError> connect_failure(int code) {
    switch (code) {
        case ENOENT:
        case ENOTDIR:
            return failure(Kind::no_socket, errno_text(code));
        case ECONNREFUSED:
            return failure(Kind::refused, errno_text(code));
        case EACCES:
        case EPERM:
            return failure(Kind::permission_denied, errno_text(code));
        case EAGAIN:
            return failure(Kind::timed_out, "nobody accepted the connection");
        default:
            return failure(Kind::cannot_connect, errno_text(code));
    }
}

using Outcome = Result<UnixHttp::Streamed, TransportError>;

Outcome perform_through(const Tunnel& tunnel, const HttpRequest& request, UnixHttp::Limits limits,
                        const UnixHttp::Receiver* receive, UnixHttp::Wires wires) {
    const auto deadline = std::chrono::steady_clock::now() + tunnel.time_for(limits.time);
    const auto connection = tunnel.open();
    if (!connection) return failure(Kind::tunnel_failed, connection.error().message);
    if (wires.interrupt_fd < 0) wires.interrupt_fd = (*connection)->interrupt_fd();
    const UnixHttp::Receiver receive_answer = [&](std::string& body) {
        (*connection)->answered();
        return (*receive)(body);
    };
    Outcome outcome = http_exchange((*connection)->take_socket(), request, deadline, limits,
                                    receive == nullptr ? nullptr : &receive_answer, wires);
    if (outcome || outcome.error().kind != Kind::disconnected) return outcome;
    std::string complaint = (*connection)->complaint();
    return complaint.empty() ? std::move(outcome) : failure(Kind::tunnel_failed, std::move(complaint));
}

Outcome perform(const ControlHost& host, const HttpRequest& request, UnixHttp::Limits limits,
                const UnixHttp::Receiver* receive, UnixHttp::Wires wires) {
    if (host.tunnel() != nullptr) return perform_through(*host.tunnel(), request, limits, receive, wires);
    const auto deadline = std::chrono::steady_clock::now() + limits.time;
    auto socket = connect_to(host.str(), std::min(limits.time, kConnectTime));
    if (!socket) return fail(socket.error());
    return http_exchange(std::move(*socket), request, deadline, limits, receive, wires);
}

std::string percent_encoded(std::string_view text, std::string_view kept) {
    std::string out;
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (plain || kept.find(c) != std::string_view::npos) {
            out += c;
        } else {
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        }
    }
    return out;
}

}  // namespace

// connect(2) on a Unix socket whose backlog is full does not go on in the
// background: the only way to wait for a place, with a deadline, is a blocking connect under SO_SNDTIMEO (unix(7)).
Result<UniqueFd, TransportError> connect_to(const std::string& path, std::chrono::milliseconds time) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path) {
        return failure(Kind::cannot_connect,
                       fmt::format("the path of a Unix socket has 1 to {} bytes", sizeof address.sun_path - 1));
    }
    std::memcpy(address.sun_path, path.data(), path.size());

    UniqueFd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (!socket) return failure(Kind::cannot_connect, errno_text(errno));
    timeval timeout{};
    timeout.tv_sec = time.count() / 1000;
    timeout.tv_usec = std::max<suseconds_t>(time.count() % 1000 * 1000, 1);
    ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    while (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        if (errno != EINTR) return connect_failure(errno);
    }
    return socket;
}

Result<HttpReply, TransportError> UnixHttp::exchange(const HttpRequest& request, Limits limits, Wires wires) const {
    auto outcome = perform(host_, request, limits, nullptr, wires);
    if (!outcome) return fail(outcome.error());
    return std::move(outcome->reply);
}

Result<UnixHttp::Streamed, TransportError> UnixHttp::stream(const HttpRequest& request, Limits limits,
                                                            const Receiver& receive, Wires wires) const {
    return perform(host_, request, limits, &receive, wires);
}

std::string percent_encoded_path(std::string_view text) {
    std::string out;
    for (std::size_t start = 0; start <= text.size();) {
        const std::size_t end = std::min(text.find('/', start), text.size());
        const std::string_view part = text.substr(start, end - start);
        out += percent_encoded(part, part == "." || part == ".." ? "" : "-._~:");
        if (end < text.size()) out += '/';
        start = end + 1;
    }
    return out;
}

std::string percent_encoded_value(std::string_view text) {
    return percent_encoded(text, "-._~");
}

}  // namespace brokerd
