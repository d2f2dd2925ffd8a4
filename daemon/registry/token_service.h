#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/registry/http_pool.h"
#include "daemon/registry/registry_credentials.h"

namespace brokerd {

struct RegistryToken {
    std::string value;  ///< visible ASCII
    std::chrono::steady_clock::time_point expires;
};

/// What a registry's Bearer challenge asks to fetch, and for whom.
struct TokenRequest {
    Url realm;
    std::string service;                               ///< may be empty
    std::vector<std::string> scopes;                   ///< "repository:PATH:pull"
    const RegistryCredentials* credentials = nullptr;  ///< null: an anonymous token
};

/// Fetches a token (Docker's documentation, "Token authentication specification" and "OAuth2"): by GET, with Basic
/// authentication where there is a user, or by POST with the identity token. Redirects are not followed. Errors name
/// the service's host.
[[nodiscard]] RegistryResult<RegistryToken> fetch_token(HttpPool& pool, const TokenRequest& request);

/// The token in a service's answer with status 200; `host` is for the error, which quotes nothing of it.
[[nodiscard]] RegistryResult<RegistryToken> read_token(std::string_view body, std::string_view host);

/// "Basic …" for a user.
[[nodiscard]] std::string basic_authorization(const RegistryCredentials& credentials);

}  // namespace brokerd
