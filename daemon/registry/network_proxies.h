#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace brokerd {

/// Which proxy a host is reached through: HTTPS_PROXY for https, HTTP_PROXY for http, none for what NO_PROXY lists.
/// A proxy is "http://[USER:PASSWORD@]HOST[:PORT]", the scheme may be left out. Immutable; any thread.
struct NetworkProxies {
    std::string http;
    std::string https;
    std::vector<std::string> no_proxy;  ///< HOST or .SUFFIX, each with an optional :PORT, an address, a CIDR, or "*"

    /// The value of a variable, or null.
    using Environment = std::function<const char*(const char*)>;
    /// Reads HTTP_PROXY, HTTPS_PROXY, NO_PROXY, and each in lower case where the former is unset or empty. For main:
    /// nobody else reads the environment, which other threads may not change meanwhile.
    [[nodiscard]] static NetworkProxies from_environment(const Environment& environment);

    /// The proxy for this host, or nothing: direct. Loopback is never proxied. `https`: the scheme to be spoken.
    [[nodiscard]] std::optional<std::string> proxy_for(bool https, std::string_view host, std::uint16_t port) const;
};

/// "localhost" or a name under it (RFC 6761 6.3), 127.0.0.0/8, ::1. Literally: no name is resolved.
[[nodiscard]] bool is_loopback(std::string_view host);
/// Whether the literal `address` lies in `network` ("10.0.0.0/8", "fd00::/8"). False where either is something else.
[[nodiscard]] bool is_in_network(std::string_view address, std::string_view network);

}  // namespace brokerd
