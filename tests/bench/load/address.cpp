#include "tests/bench/load/address.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>

#include <charconv>
#include <cstring>
#include <stdexcept>

#include "common/os/system_error.h"

namespace brokerd::bench {
namespace {

constexpr int kBacklog = 4096;
constexpr timeval kConnectLimit{5, 0};

void send_at_once(int fd) {
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // fails on Unix sockets, which need none
}

}  // namespace

Address::Address(std::string_view text) {
    const std::string_view scheme = text.substr(0, text.find(':'));
    const std::string_view rest = text.substr(std::min(text.size(), scheme.size() + 1));
    if (scheme == "unix") {
        auto& address = reinterpret_cast<sockaddr_un&>(storage_);
        if (rest.empty() || rest.size() >= sizeof address.sun_path) throw std::invalid_argument{std::string{text}};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, rest.data(), rest.size());
        length_ = sizeof address;
        return;
    }
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), port);
    tls_ = scheme == "tls";
    if ((!tls_ && scheme != "tcp") || error != std::errc{} || end != rest.data() + rest.size()) {
        throw std::invalid_argument{std::string{text}};
    }
    auto& address = reinterpret_cast<sockaddr_in&>(storage_);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    length_ = sizeof address;
}

UniqueFd Address::socket() const {
    UniqueFd fd{::socket(storage_.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (!fd) throw_errno("socket");
    return fd;
}

UniqueFd Address::listen() const {
    UniqueFd fd = socket();
    const int on = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&storage_), length_) != 0) throw_errno("bind");
    if (::listen(fd.get(), kBacklog) != 0) throw_errno("listen");
    ::fcntl(fd.get(), F_SETFL, O_NONBLOCK);
    return fd;
}

UniqueFd Address::connect() const {
    UniqueFd fd = socket();
    ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &kConnectLimit, sizeof kConnectLimit);
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&storage_), length_) != 0) return {};
    ::fcntl(fd.get(), F_SETFL, O_NONBLOCK);
    send_at_once(fd.get());
    return fd;
}

unsigned port_of(int listener) {
    sockaddr_in address{};
    socklen_t length = sizeof address;
    if (::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) != 0) throw_errno("getsockname");
    return address.sin_family == AF_INET ? ntohs(address.sin_port) : 0;
}

UniqueFd accept_from(int listener) {
    UniqueFd fd{::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
    if (fd) send_at_once(fd.get());
    return fd;
}

}  // namespace brokerd::bench
