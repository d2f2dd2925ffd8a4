#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace brokerd {

/// What a user gave for one registry (Docker Engine API, "Authentication"). They are offered to that registry's host
/// and to the token service it names, over TLS unless the registry is insecure; never to mirrors or redirect targets.
struct RegistryCredentials {
    std::string username;
    std::string password;
    std::string identity_token;  ///< an OAuth2 refresh token
    std::string registry_token;  ///< a bearer token for the registry itself, sent as it is
    std::string server_address;  ///< whose they are; empty: the registry of the image, which the user just named

    /// Reads the header X-Registry-Auth: base64url or base64, padded or not, of a JSON object. An empty header, and an
    /// object without secrets, are no credentials. The error never quotes the content.
    [[nodiscard]] static Result<RegistryCredentials> from_header(std::string_view header);

    [[nodiscard]] bool empty() const noexcept {
        return username.empty() && password.empty() && identity_token.empty() && registry_token.empty();
    }
    /// What nobody may see of them, also as it is sent.
    [[nodiscard]] std::vector<std::string> secrets() const;
    /// Whether these belong to the registry of image references with this domain ("docker.io", "host:5000"). An address
    /// may be a URL, of which the host counts; "https://index.docker.io/v1/" and the other names of Docker's own
    /// registry mean docker.io.
    [[nodiscard]] bool belong_to(std::string_view domain) const;
};

}  // namespace brokerd
