#include "daemon/registry/registry_endpoint.h"

#include <fmt/format.h>

#include <algorithm>

namespace brokerd {

std::vector<std::string> RegistryScope::texts(bool plugin_class) const {
    const std::string_view type = plugin_class ? "repository(plugin)" : "repository";
    std::vector<std::string> result{fmt::format("{}:{}:{}", type, path, push ? "pull,push" : "pull")};
    if (!from.empty()) result.push_back(fmt::format("{}:{}:pull", type, from));
    return result;
}

RegistryEndpoint::RegistryEndpoint(HttpPool& pool, const RegistrySettings& settings, Url url, bool fixed,
                                   RegistryCredentials credentials)
    : pool_{pool},
      settings_{settings},
      credentials_{std::move(credentials)},
      name_{url.authority()},
      url_{std::move(url)},
      scheme_known_{fixed || !settings.is_insecure(url_.host, url_.port)} {}

std::vector<std::string> RegistryEndpoint::secrets() {
    std::vector<std::string> all = credentials_.secrets();
    const std::lock_guard lock{mutex_};
    for (const auto& [key, bearer] : tokens_) all.push_back(bearer.token.value);
    return all;
}

RegistryResult<Url> RegistryEndpoint::base() {
    const std::lock_guard lock{mutex_};
    return scheme_known_ ? RegistryResult<Url>{url_} : find_scheme();
}

/// As dockerd does it with insecure registries: TLS first, and plain HTTP where the other side does not speak TLS. A
/// registry that speaks TLS is never asked without, whatever goes wrong.
RegistryResult<Url> RegistryEndpoint::find_scheme() {
    Url plain = url_;
    plain.https = false;
    if (url_.port == 443) plain.port = 80;
    const auto speaks = pool_.speaks_tls(url_);
    if (!speaks) {
        // Nothing on port 443: then perhaps on port 80, or by way of a proxy that takes plain HTTP only. Not
        // remembered, it may have been a moment's failure.
        const bool has_other = (plain.port != url_.port && settings_.is_insecure(plain.host, plain.port)) ||
                               settings_.proxies.proxy_for(false, plain.host, plain.port);
        if (!has_other || speaks.error().kind != RegistryErrorKind::unreachable) return fail(speaks.error());
        return plain;
    }
    if (!*speaks) url_ = plain;
    scheme_known_ = true;
    return url_;
}

std::string RegistryEndpoint::key_of(const RegistryScope& scope) {
    return fmt::format("{} {} {}", scope.path, scope.push, scope.from);
}

std::string RegistryEndpoint::header_of(const std::string& key) const {
    const auto at = tokens_.find(key);
    return at == tokens_.end() ? std::string{} : "Bearer " + at->second.token.value;
}

RegistryResult<std::string> RegistryEndpoint::authorization(const RegistryScope& scope) {
    const std::lock_guard lock{mutex_};
    if (!credentials_.registry_token.empty()) return "Bearer " + credentials_.registry_token;
    if (!basic_.empty()) return basic_;
    if (!challenge_) return std::string{};
    const std::string key = key_of(scope);
    const auto at = tokens_.find(key);
    if (at == tokens_.end() || at->second.token.expires <= std::chrono::steady_clock::now()) {
        if (const auto fetched = fetch(scope); !fetched) return fail(fetched.error());
    }
    return header_of(key);
}

void RegistryEndpoint::note_accepted(const RegistryScope& scope, const std::string& used) {
    const std::lock_guard lock{mutex_};
    const std::string key = key_of(scope);
    if (!used.empty() && header_of(key) == used) tokens_.at(key).accepted = true;
}

bool RegistryEndpoint::was_denied(const RegistryScope& scope, const std::string& used) {
    const std::lock_guard lock{mutex_};
    const auto at = tokens_.find(key_of(scope));
    if (at == tokens_.end() || used.empty()) return false;
    if (header_of(at->first) != used) return true;
    if (!at->second.with_class || at->second.accepted) return false;
    plugin_class_ = false;
    tokens_.erase(at);
    return true;
}

RegistryResult<std::monostate> RegistryEndpoint::renew(const RegistryScope& scope, const std::string& used,
                                                       const HttpAnswer& answer, const RegistryError& refusal) {
    const std::lock_guard lock{mutex_};
    if (!credentials_.registry_token.empty()) return fail(refusal);
    const auto challenges = parse_challenges(answer.fields_joined("www-authenticate"));
    if (!challenges) {
        return fail(RegistryError{RegistryErrorKind::invalid,
                                  fmt::format("{} asks for a login in a way that cannot be understood", name_),
                                  false,
                                  {}});
    }
    const auto named = [&challenges](std::string_view scheme) {
        return std::find_if(challenges->begin(), challenges->end(),
                            [scheme](const AuthChallenge& challenge) { return challenge.scheme == scheme; });
    };
    if (const auto bearer = named("bearer"); bearer != challenges->end())
        return use_bearer(scope, used, *bearer, refusal);
    if (named("basic") != challenges->end()) return use_basic(used, refusal);
    return fail(RegistryError{RegistryErrorKind::unauthorized,
                              fmt::format("{} asks for a login that is neither Basic nor Bearer", name_),
                              false,
                              {}});
}

RegistryResult<std::monostate> RegistryEndpoint::use_basic(const std::string& used, const RegistryError& refusal) {
    if (credentials_.username.empty() || (!basic_.empty() && used == basic_)) return fail(refusal);
    basic_ = basic_authorization(credentials_);
    return std::monostate{};
}

RegistryResult<std::monostate> RegistryEndpoint::use_bearer(const RegistryScope& scope, const std::string& used,
                                                            const AuthChallenge& challenge,
                                                            const RegistryError& refusal) {
    auto read = read_bearer(challenge);
    if (!read) return fail(read.error());
    challenge_ = std::move(*read);
    const std::string key = key_of(scope);
    if (const auto at = tokens_.find(key); at != tokens_.end()) {
        if (header_of(key) != used) return std::monostate{};  // another thread was here first
        if (!at->second.accepted) {
            // Fresh, and refused: the registry may not know the class.
            if (!at->second.with_class) return fail(refusal);
            plugin_class_ = false;
        }
        tokens_.erase(at);
    }
    return fetch(scope);
}

RegistryResult<RegistryEndpoint::Challenge> RegistryEndpoint::read_bearer(const AuthChallenge& challenge) const {
    const auto refuse = [this](std::string_view why) {
        return fail(RegistryError{RegistryErrorKind::invalid,
                                  fmt::format("{} names a token service that cannot be used: {}", name_, why),
                                  false,
                                  {}});
    };
    auto realm = Url::parse(challenge.param("realm"));
    if (!realm) return refuse("its address is no URL");
    const bool may_be_plain =
        settings_.is_insecure(url_.host, url_.port) && settings_.is_insecure(realm->host, realm->port);
    if (!realm->https && !may_be_plain) return refuse("it is not https, and would see the password");
    return Challenge{std::move(*realm), std::string{challenge.param("service")}};
}

/// With the class of plugins first, which Docker's own service wants, and without it where that is not understood.
RegistryResult<std::monostate> RegistryEndpoint::fetch(const RegistryScope& scope) {
    TokenRequest request{challenge_->realm, challenge_->service, {}, nullptr};
    if (!credentials_.username.empty() || !credentials_.identity_token.empty()) request.credentials = &credentials_;
    for (bool with_class = plugin_class_;; with_class = false) {
        request.scopes = scope.texts(with_class);
        auto token = fetch_token(pool_, request);
        if (token) {
            tokens_[key_of(scope)] = {std::move(*token), with_class, false};
            return std::monostate{};
        }
        const RegistryError& error = token.error();
        if (!with_class || error.transient || error.kind == RegistryErrorKind::cancelled) return fail(error);
        if (error.kind == RegistryErrorKind::unreachable) return fail(error);
    }
}

}  // namespace brokerd
