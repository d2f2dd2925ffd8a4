#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace brokerd {

/// An http or https URL as a client needs it. parse() and resolve() are the only ways in, so that the parts hold no
/// character that could break a request apart.
struct Url {
    bool https = true;
    std::string host;  ///< lower case, an IPv6 address without its brackets
    std::uint16_t port = 443;
    std::string target = "/";  ///< path and query, from its '/'
    std::string user_info;     ///< as written, before '@'; only parse_proxy() lets it in

    /// Nothing where it is no http(s) URL, is longer than 8 KiB, or names a user. A fragment is dropped.
    [[nodiscard]] static std::optional<Url> parse(std::string_view text);
    /// A proxy's address: the scheme may be missing (http), and it may name a user. Only http.
    [[nodiscard]] static std::optional<Url> parse_proxy(std::string_view text);
    /// The host of image references: HOST, HOST:PORT, [IPV6]:PORT.
    [[nodiscard]] static std::optional<Url> of_authority(bool https, std::string_view authority);

    /// What `location`, absolute or relative, means in an answer to a request for this URL (RFC 3986 5.2).
    [[nodiscard]] std::optional<Url> resolve(std::string_view location) const;
    /// The same origin with another target, which is trusted to be well-formed.
    [[nodiscard]] Url with_target(std::string other) const;

    [[nodiscard]] bool same_origin(const Url& other) const noexcept {
        return https == other.https && host == other.host && port == other.port;
    }
    /// HOST or HOST:PORT, the port where it is not the scheme's own: for Host and for messages.
    [[nodiscard]] std::string authority() const;
    /// HOST:PORT always.
    [[nodiscard]] std::string host_and_port() const;
    /// "https://HOST[:PORT]".
    [[nodiscard]] std::string origin() const { return (https ? "https://" : "http://") + authority(); }
};

/// `text` as a value in a query: everything but unreserved characters (RFC 3986 2.3) as %XX.
[[nodiscard]] std::string query_value(std::string_view text);

}  // namespace brokerd
