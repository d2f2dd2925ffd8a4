#include "common/endpoint.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "common/plugin_name.h"
#include "common/secrets.h"

namespace brokerd {
namespace {

/// sun_path of unix(7) holds 108 bytes with the terminating zero.
constexpr std::size_t kMaxSocketPath = 107;
/// RFC 1035 2.3.4: a host name has at most 255 octets on the wire, 253 in text.
constexpr std::size_t kMaxHost = 253;

bool is_host_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == '_';
}

Failure<Error> refuse(std::string_view url, std::string_view why) {
    return fail(fmt::format("\"{}\" is not a plugin address: {}", escaped(shown_address(url), 120), why));
}

struct HostAndPort {
    std::string host;
    std::string port;
};

/// Splits "host", "host:port", "[v6]" or "[v6]:port".
Result<HostAndPort> split_authority(std::string_view authority) {
    HostAndPort out;
    std::string_view rest;
    if (!authority.empty() && authority.front() == '[') {
        const std::size_t close = authority.find(']');
        if (close == std::string_view::npos) return fail("the \"[\" of the IPv6 address is not closed");
        out.host = authority.substr(1, close - 1);
        in6_addr ignored{};
        if (inet_pton(AF_INET6, out.host.c_str(), &ignored) != 1)
            return fail("the part in brackets is no IPv6 address");
        rest = authority.substr(close + 1);
        if (!rest.empty() && rest.front() != ':') return fail("only :PORT may follow the bracketed address");
    } else {
        const std::size_t colon = std::min(authority.find(':'), authority.size());
        out.host = authority.substr(0, colon);
        rest = authority.substr(colon);
        if (rest.find(':', 1) != std::string_view::npos && rest.size() > 1) {
            return fail("it has more than one colon after the scheme (write an IPv6 address in brackets)");
        }
        if (!std::all_of(out.host.begin(), out.host.end(), is_host_character))
            return fail("the host name has a character that host names cannot have");
    }
    if (out.host.empty()) return fail("the host is missing");
    if (out.host.size() > kMaxHost) return fail("the host name is too long");
    if (!rest.empty()) {
        out.port = rest.substr(1);
        if (out.port.empty()) return fail("the port is missing after the colon");
    }
    return out;
}

}  // namespace

Result<Endpoint> Endpoint::parse(std::string_view url) {
    if (url.empty()) return refuse(url, "it is empty");
    const std::size_t colon = url.find("://");
    if (colon == std::string_view::npos) return refuse(url, "the scheme is missing");
    const std::string_view scheme = url.substr(0, colon);
    std::string_view rest = url.substr(colon + 3);
    for (const char c : rest) {
        if (c <= ' ' || c > '~')
            return refuse(url, "it contains white space, a control character or a byte outside ASCII");
    }

    Endpoint endpoint;
    endpoint.scheme_ = scheme;
    if (scheme == "unix") {
        if (rest.empty() || rest.front() != '/') return refuse(url, "a socket path must be absolute (three slashes)");
        if (rest.size() > kMaxSocketPath)
            return refuse(url, fmt::format("the socket path is longer than {} bytes", kMaxSocketPath));
        if (rest.back() == '/') return refuse(url, "the socket path ends with a slash");
        endpoint.path_ = rest;
        return endpoint;
    }
    if (scheme != "tcp" && scheme != "http" && scheme != "https")
        return refuse(url, "the scheme is not unix, tcp, http or https");

    endpoint.kind_ = Kind::tcp;
    if (!rest.empty() && rest.back() == '/') rest.remove_suffix(1);
    if (rest.find_first_of("/?#") != std::string_view::npos) return refuse(url, "nothing may follow the port");
    if (rest.find('@') != std::string_view::npos) return refuse(url, "it cannot carry a user name");
    const auto parts = split_authority(rest);
    if (!parts) return refuse(url, parts.error().message);
    endpoint.host_ = parts->host;
    if (parts->port.empty()) {
        if (scheme == "tcp") return refuse(url, "the port is missing");
        endpoint.port_ = scheme == "https" ? 443 : 80;
    } else {
        unsigned port = 0;
        const char* const end = parts->port.data() + parts->port.size();
        const auto [stop, code] = std::from_chars(parts->port.data(), end, port);
        if (code != std::errc{} || stop != end || port == 0 || port > 65535)
            return refuse(url, "the port is not a number from 1 to 65535");
        endpoint.port_ = static_cast<std::uint16_t>(port);
    }
    if (scheme == "https") endpoint.tls_.emplace();
    return endpoint;
}

Endpoint Endpoint::unix_socket(std::string path, Links links) {
    Endpoint endpoint;
    endpoint.links_ = links;
    endpoint.scheme_ = "unix";
    endpoint.path_ = std::move(path);
    return endpoint;
}

std::string Endpoint::str() const {
    if (kind_ == Kind::unix_socket) return "unix://" + path_;
    const bool bracket = host_.find(':') != std::string::npos;
    return fmt::format("{}://{}{}{}:{}", scheme_, bracket ? "[" : "", host_, bracket ? "]" : "", port_);
}

}  // namespace brokerd
