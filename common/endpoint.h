#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/result.h"

namespace brokerd {

/// The TLSConfig member of a plugin's .json file (Docker Plugin API, "JSON specification").
/// An empty path means that the file is not used.
struct TlsSettings {
    bool insecure_skip_verify = false;
    std::string ca_file;    ///< empty: the system's certificate store (Docker would verify nothing)
    std::string cert_file;  ///< with key_file: the client certificate
    std::string key_file;

    friend bool operator==(const TlsSettings&, const TlsSettings&) = default;
};

/// Where a plugin listens: a Unix socket, or a TCP port with or without TLS. Always valid; parse() is the only way in.
class Endpoint {
public:
    enum class Kind : std::uint8_t { unix_socket, tcp };
    /// Whether what lies at a socket's path may be a symbolic link. Refused where somebody whom nobody trusts can put
    /// one: it may lead to another's socket, or to a file system whose server never answers.
    enum class Links : std::uint8_t { followed, refused };

    /// Reads unix:///path, tcp://host:port, http://host[:port] or https://host[:port]. A path, user, query or fragment
    /// after the port is refused. The error says why; what to write instead is for whoever knows where it was written.
    [[nodiscard]] static Result<Endpoint> parse(std::string_view url);
    /// `path` is absolute.
    [[nodiscard]] static Endpoint unix_socket(std::string path, Links links = Links::followed);

    /// tcp:// and https:// with a TLSConfig are TLS; https:// without one is TLS against the system's store.
    /// Precondition: the endpoint is not a Unix socket and not http://.
    void use_tls(TlsSettings settings) { tls_ = std::move(settings); }

    [[nodiscard]] Kind kind() const noexcept { return kind_; }
    /// The URL's scheme: unix, tcp, http or https.
    [[nodiscard]] const std::string& scheme() const noexcept { return scheme_; }
    /// The socket's path; empty for TCP.
    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    [[nodiscard]] Links links() const noexcept { return links_; }
    /// Host name or numeric address, IPv6 without brackets; empty for Unix sockets.
    [[nodiscard]] const std::string& host() const noexcept { return host_; }
    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    [[nodiscard]] const std::optional<TlsSettings>& tls() const noexcept { return tls_; }
    /// The URL in canonical form.
    [[nodiscard]] std::string str() const;

    friend bool operator==(const Endpoint&, const Endpoint&) = default;

private:
    Endpoint() = default;

    Kind kind_ = Kind::unix_socket;
    Links links_ = Links::followed;
    std::string scheme_;
    std::string path_;
    std::string host_;
    std::uint16_t port_ = 0;
    std::optional<TlsSettings> tls_;
};

}  // namespace brokerd
