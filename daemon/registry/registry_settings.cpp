#include "daemon/registry/registry_settings.h"

#include <algorithm>

#include "daemon/registry/url.h"

namespace brokerd {

bool RegistrySettings::is_insecure(std::string_view host, std::uint16_t port) const {
    if (is_loopback(host)) return true;
    return std::any_of(insecure_hosts.begin(), insecure_hosts.end(), [&](const std::string& entry) {
        if (is_in_network(host, entry)) return true;
        const auto listed = Url::of_authority(true, entry);
        // Without a port the host is insecure on its default ports alone: HOST and HOST:PORT are two registries.
        const bool has_port = Url::of_authority(false, entry) && listed->port == Url::of_authority(false, entry)->port;
        if (!listed || listed->host != host) return false;
        return has_port ? listed->port == port : port == 443 || port == 80;
    });
}

}  // namespace brokerd
