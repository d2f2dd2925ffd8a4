#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <sys/un.h>

#include <cstring>

#include "daemon/proxy/route.h"

namespace brokerd {
namespace {

SocketAddress unix_address(const std::string& path) {
    SocketAddress address;
    sockaddr_un unix{};
    unix.sun_family = AF_UNIX;
    path.copy(unix.sun_path, sizeof unix.sun_path - 1);
    std::memcpy(&address.storage, &unix, sizeof unix);
    address.length = sizeof unix;
    return address;
}

bool is_numeric(const std::string& host) {
    in6_addr buffer{};
    return inet_pton(AF_INET, host.c_str(), &buffer) == 1 || inet_pton(AF_INET6, host.c_str(), &buffer) == 1;
}

Result<std::vector<SocketAddress>, Target::Problem> resolve(const Endpoint& endpoint) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV | (is_numeric(endpoint.host()) ? AI_NUMERICHOST : 0);
    addrinfo* found = nullptr;
    const int code = getaddrinfo(endpoint.host().c_str(), std::to_string(endpoint.port()).c_str(), &hints, &found);
    if (code != 0) {
        return fail(
            Target::Problem{fmt::format("the host name {} cannot be resolved: {}; check the address and the resolver",
                                        endpoint.host(), gai_strerror(code))});
    }
    const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner{found, &freeaddrinfo};
    std::vector<SocketAddress> addresses;
    for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
        SocketAddress address;
        std::memcpy(&address.storage, entry->ai_addr, entry->ai_addrlen);
        address.length = entry->ai_addrlen;
        addresses.push_back(address);
    }
    return addresses;
}

}  // namespace

bool Target::needs_worker(const Endpoint& endpoint) {
    return endpoint.kind() == Endpoint::Kind::tcp && (endpoint.tls() || !is_numeric(endpoint.host()));
}

Result<std::shared_ptr<const Target>, Target::Problem> Target::prepare(const Endpoint& endpoint) {
    auto target = std::make_shared<Target>();
    target->url = endpoint.str();
    if (endpoint.kind() == Endpoint::Kind::unix_socket) {
        target->host_header = "localhost";
        target->addresses.push_back(unix_address(endpoint.path()));
        if (endpoint.links() == Endpoint::Links::refused) target->own_socket = endpoint.path();
        return std::shared_ptr<const Target>{std::move(target)};
    }
    const std::string url = endpoint.str();
    target->host_header = url.substr(url.find("://") + 3);
    if (endpoint.tls()) {
        auto tls = TlsContext::load(*endpoint.tls(), endpoint.host());
        if (!tls) return fail(Problem{tls.error().message, true});
        target->tls = *std::move(tls);
    }
    auto addresses = resolve(endpoint);
    if (!addresses) return fail(addresses.error());
    target->addresses = *std::move(addresses);
    return std::shared_ptr<const Target>{std::move(target)};
}

}  // namespace brokerd
