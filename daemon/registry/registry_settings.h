#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/registry/network_proxies.h"

namespace brokerd {

/// Every wait ends. All are ours.
struct RegistryTimeouts {
    std::chrono::milliseconds connect{15'000};      ///< one address; also the TLS handshake
    std::chrono::milliseconds stall{30'000};        ///< no byte for so long: the connection is given up
    std::chrono::milliseconds exchange{120'000};    ///< a whole request with its answer, bodies of blobs not counted
    std::uint64_t slowest_bytes_per_second = 1024;  ///< bounds the time of a blob's body, on top of `exchange`
};

/// How often a transfer is tried when the network or the registry fails in passing, and the pauses in between: doubled
/// from `first_pause` to `longest_pause`, up to half of it taken off at random; or what Retry-After asks, at most
/// `longest_wait`.
struct RegistryRetries {
    unsigned attempts = 5;
    std::chrono::milliseconds first_pause{500};
    std::chrono::milliseconds longest_pause{10'000};
    std::chrono::milliseconds longest_wait{60'000};
    /// Called instead of waiting, where it is set: for tests.
    std::function<void(std::chrono::milliseconds)> pause;
};

/// What the operator configured about registries. Immutable; shared by all jobs.
struct RegistrySettings {
    /// As dockerd's --insecure-registry: HOST, HOST:PORT or a CIDR of addresses. TLS certificates of these are not
    /// verified, and plain HTTP is spoken where TLS is not. Loopback (is_loopback()) counts as insecure, as with
    /// dockerd.
    std::vector<std::string> insecure_hosts;
    /// As dockerd's --registry-mirror: URLs, asked in order, for pulls from docker.io, without credentials.
    std::vector<std::string> mirrors;
    NetworkProxies proxies;
    /// HOST[:PORT]/ with *.crt (authorities, on top of the system's), and NAME.cert with NAME.key (of a client).
    std::string certs_dir = "/etc/docker/certs.d";
    RegistryTimeouts timeouts;
    RegistryRetries retries;
    /// "HOST:PORT" is connected to at "ADDRESS:PORT" instead of where the resolver says: for tests.
    std::map<std::string, std::string, std::less<>> addresses;
    std::string user_agent = "brokerd/" BROKERD_VERSION;

    /// Whether plain HTTP and unverified TLS may be used with this host.
    [[nodiscard]] bool is_insecure(std::string_view host, std::uint16_t port) const;
};

/// Where the images named docker.io/… are: Docker's documentation of its registry, "Docker Hub API".
inline constexpr std::string_view kDockerDomain = "docker.io";
inline constexpr std::string_view kDockerRegistryHost = "registry-1.docker.io";

}  // namespace brokerd
