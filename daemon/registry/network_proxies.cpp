#include "daemon/registry/network_proxies.h"

#include <arpa/inet.h>

#include <array>
#include <charconv>

#include "daemon/registry/url.h"

namespace brokerd {
namespace {

struct Address {
    std::array<unsigned char, 16> bytes{};
    unsigned bits = 0;  ///< 32 or 128
};

std::optional<Address> read_address(std::string_view text) {
    Address address;
    const std::string copy{text};
    if (inet_pton(AF_INET, copy.c_str(), address.bytes.data()) == 1) {
        address.bits = 32;
        return address;
    }
    if (inet_pton(AF_INET6, copy.c_str(), address.bytes.data()) == 1) {
        address.bits = 128;
        return address;
    }
    return std::nullopt;
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

std::vector<std::string> split_list(std::string_view text) {
    std::vector<std::string> items;
    for (std::size_t at = 0; at <= text.size();) {
        const std::size_t end = std::min(text.find(',', at), text.size());
        if (const std::string_view item = trimmed(text.substr(at, end - at)); !item.empty()) items.emplace_back(item);
        at = end + 1;
    }
    return items;
}

bool matches(std::string_view entry, std::string_view host, std::uint16_t port) {
    if (entry == "*" || is_in_network(host, entry)) return true;
    if (const auto listed = read_address(entry)) {
        const auto address = read_address(host);
        return address && address->bits == listed->bits && address->bytes == listed->bytes;
    }
    // ".example.org" is every host under it; "example.org" that host too. A "*." in front means the same as the dot.
    if (entry.starts_with("*.")) entry.remove_prefix(1);
    const bool only_below = entry.starts_with('.');
    if (only_below) entry.remove_prefix(1);
    const auto listed = Url::of_authority(true, entry);
    if (!listed) return false;
    const bool has_port = entry.find(':', entry.find(']') == entry.npos ? 0 : entry.find(']')) != entry.npos;
    if (has_port && listed->port != port) return false;
    if (host == listed->host) return !only_below;
    return host.size() > listed->host.size() && host.ends_with(listed->host) &&
           host[host.size() - listed->host.size() - 1] == '.';
}

}  // namespace

bool is_in_network(std::string_view address, std::string_view network) {
    const std::size_t slash = network.find('/');
    if (slash == network.npos) return false;
    const auto base = read_address(network.substr(0, slash));
    const auto host = read_address(address);
    unsigned bits = 0;
    const std::string_view digits = network.substr(slash + 1);
    const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
    if (!base || !host || base->bits != host->bits || code != std::errc{} || end != digits.data() + digits.size() ||
        bits > base->bits)
        return false;
    for (unsigned i = 0; i < bits; ++i) {
        const unsigned mask = 0x80U >> i % 8;
        if ((base->bytes[i / 8] & mask) != (host->bytes[i / 8] & mask)) return false;
    }
    return true;
}

bool is_loopback(std::string_view host) {
    return host == "localhost" || host.ends_with(".localhost") || is_in_network(host, "127.0.0.0/8") ||
           is_in_network(host, "::1/128");
}

NetworkProxies NetworkProxies::from_environment(const Environment& environment) {
    const auto either = [&environment](const char* upper, const char* lower) -> std::string {
        const char* value = environment(upper);
        if (value == nullptr || *value == '\0') value = environment(lower);
        return value == nullptr ? "" : value;
    };
    return {either("HTTP_PROXY", "http_proxy"), either("HTTPS_PROXY", "https_proxy"),
            split_list(either("NO_PROXY", "no_proxy"))};
}

std::optional<std::string> NetworkProxies::proxy_for(bool to_https, std::string_view host, std::uint16_t port) const {
    const std::string& proxy = to_https ? https : http;
    if (proxy.empty() || is_loopback(host)) return std::nullopt;
    for (const std::string& entry : no_proxy) {
        if (matches(entry, host, port)) return std::nullopt;
    }
    return proxy;
}

}  // namespace brokerd
