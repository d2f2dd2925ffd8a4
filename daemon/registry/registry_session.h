#pragma once

#include <cstdint>
#include <string>

#include "daemon/registry/http_pool.h"
#include "daemon/registry/registry_endpoint.h"

namespace brokerd {

/// One request to a registry.
struct RegistryCall {
    std::string method = "GET";
    Url url;  ///< of the endpoint, or what the registry itself named as its continuation
    HttpFields fields;
    UploadBody* body = nullptr;
    std::uint64_t answer_bytes = 0;
    RegistryScope scope;
};

/// Requests with authentication and redirects. Authorization goes to the endpoint's own origin alone; what redirects
/// elsewhere gets none. Redirects (RFC 9110 15.4) are followed for GET and HEAD, ten at most; from https to http only
/// where both hosts are insecure.
/// Thread: any. Borrows everything.
class RegistrySession {
public:
    RegistrySession(HttpPool& pool, const RegistrySettings& settings) noexcept : pool_{pool}, settings_{settings} {}

    /// The answer, whatever its status but 401 and redirects that are followed. Not retried.
    [[nodiscard]] RegistryResult<HttpExchange> call(RegistryEndpoint& endpoint, const RegistryCall& call);
    /// What an answer with an unexpected status means; reads its body.
    [[nodiscard]] static RegistryError refusal(RegistryEndpoint& endpoint, HttpExchange& exchange);
    /// What a Location means: where the next request goes.
    [[nodiscard]] RegistryResult<Url> next_url(const HttpExchange& exchange) const;

private:
    [[nodiscard]] RegistryResult<HttpExchange> authorized(RegistryEndpoint& endpoint, const RegistryCall& call,
                                                          const Url& url);

    HttpPool& pool_;
    const RegistrySettings& settings_;
};

}  // namespace brokerd
