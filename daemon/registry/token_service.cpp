#include "daemon/registry/token_service.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/base64.h"
#include "common/json.h"
#include "daemon/registry/registry_reply.h"

namespace brokerd {
namespace {

/// Ours: tokens are 1 to 8 KiB; a server's limit for a head is about 16.
constexpr std::size_t kMaxTokenBytes = std::size_t{16} << 10;
/// "Token authentication specification": without expires_in a token is good for 60 s.
constexpr std::chrono::seconds kDefaultLife{60};
constexpr std::chrono::seconds kLongestLife{3600};
/// Ours: a token that is about to expire is not used for another request.
constexpr std::chrono::seconds kMargin{5};
constexpr std::string_view kClientId = "brokerd";

RegistryError no_token(std::string_view host) {
    return {RegistryErrorKind::invalid,
            fmt::format("the token service {} answers without a usable token", host),
            false,
            {}};
}

bool is_token(std::string_view text) {
    return !text.empty() && text.size() <= kMaxTokenBytes &&
           std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

HttpCall by_get(const TokenRequest& request) {
    HttpCall call;
    std::string target = request.realm.target;
    char separator = target.find('?') == target.npos ? '?' : '&';
    const auto add = [&](std::string_view key, std::string_view value) {
        target.append(1, separator).append(key).append("=").append(query_value(value));
        separator = '&';
    };
    if (!request.service.empty()) add("service", request.service);
    for (const std::string& scope : request.scopes) add("scope", scope);
    if (request.credentials != nullptr) {
        add("account", request.credentials->username);
        call.fields.emplace_back("Authorization", basic_authorization(*request.credentials));
    }
    add("client_id", kClientId);
    call.url = request.realm.with_target(std::move(target));
    return call;
}

std::string form_of(const TokenRequest& request) {
    std::string scopes;
    for (const std::string& scope : request.scopes) scopes += (scopes.empty() ? "" : " ") + scope;
    return fmt::format("grant_type=refresh_token&refresh_token={}&service={}&scope={}&client_id={}",
                       query_value(request.credentials->identity_token), query_value(request.service),
                       query_value(scopes), kClientId);
}

}  // namespace

RegistryResult<RegistryToken> read_token(std::string_view body, std::string_view host) {
    const auto document = parse_json(body);
    if (!document || !document->IsObject()) return fail(no_token(host));
    RegistryToken token{string_member(*document, "token"), std::chrono::steady_clock::now()};
    if (token.value.empty()) token.value = string_member(*document, "access_token");
    if (!is_token(token.value)) return fail(no_token(host));
    std::chrono::seconds life = kDefaultLife;
    if (const auto at = document->FindMember("expires_in"); at != document->MemberEnd() && at->value.IsUint()) {
        life = std::min(std::chrono::seconds{at->value.GetUint()}, kLongestLife);
    }
    token.expires += std::max(life - kMargin, std::chrono::seconds{1});
    return token;
}

std::string basic_authorization(const RegistryCredentials& credentials) {
    return "Basic " + base64_encoded(credentials.username + ':' + credentials.password);
}

RegistryResult<RegistryToken> fetch_token(HttpPool& pool, const TokenRequest& request) {
    const bool by_identity = request.credentials != nullptr && !request.credentials->identity_token.empty();
    const std::string form = by_identity ? form_of(request) : "";
    MemoryBody body{form};
    HttpCall call;
    if (by_identity) {
        call.method = "POST";
        call.url = request.realm;
        call.fields.emplace_back("Content-Type", "application/x-www-form-urlencoded");
        call.body = &body;
    } else {
        call = by_get(request);
    }
    call.fields.emplace_back("Accept", "application/json");
    auto exchange = pool.send(call);
    const std::string host = request.realm.authority();
    const auto in_context = [&host](RegistryError error) {
        error.message = fmt::format("no token from {}: {}", host, error.message);
        return fail(std::move(error));
    };
    if (!exchange) return in_context(exchange.error());
    const auto text = exchange->body(kMaxErrorBytes);
    if (!text) return in_context(text.error());
    if (exchange->status() != 200) {
        const auto secrets =
            request.credentials != nullptr ? request.credentials->secrets() : std::vector<std::string>{};
        return in_context(error_of(exchange->answer(), *text, host, request.credentials != nullptr, secrets));
    }
    return read_token(*text, host);
}

}  // namespace brokerd
