#include "daemon/registry/registry_session.h"

#include <fmt/format.h>

#include "daemon/registry/registry_reply.h"

namespace brokerd {
namespace {

/// Ours, as browsers and Docker's client bound theirs.
constexpr unsigned kMaxRedirects = 10;
/// Ours: nothing known, a token with the class, one without, an expired one, and one more for an unlucky thread.
constexpr unsigned kMaxAuthorizations = 5;

bool is_redirect(unsigned status) {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

RegistryError invalid(std::string message) {
    return {RegistryErrorKind::invalid, std::move(message), false, {}};
}

}  // namespace

RegistryError RegistrySession::refusal(RegistryEndpoint& endpoint, HttpExchange& exchange) {
    const auto body = exchange.body(kMaxErrorBytes);
    if (!body && body.error().kind == RegistryErrorKind::cancelled) return body.error();
    return error_of(exchange.answer(), body ? *body : "", exchange.url().authority(), endpoint.has_credentials(),
                    endpoint.secrets());
}

RegistryResult<Url> RegistrySession::next_url(const HttpExchange& exchange) const {
    const Url& from = exchange.url();
    const auto to = from.resolve(exchange.answer().field("location"));
    if (!to || exchange.answer().field("location").empty())
        return fail(invalid(fmt::format("{} names a Location that is no URL", from.authority())));
    const bool insecure = settings_.is_insecure(from.host, from.port) && settings_.is_insecure(to->host, to->port);
    if (from.https && !to->https && !insecure) {
        return fail(invalid(
            fmt::format("{} sends us from https to http at {}, which is refused", from.authority(), to->authority())));
    }
    return *to;
}

RegistryResult<HttpExchange> RegistrySession::call(RegistryEndpoint& endpoint, const RegistryCall& call) {
    Url url = call.url;
    const bool follows = call.method == "GET" || call.method == "HEAD";
    for (unsigned redirects = 0;; ++redirects) {
        auto exchange = authorized(endpoint, call, url);
        if (!exchange || !follows || !is_redirect(exchange->status())) return exchange;
        if (redirects == kMaxRedirects)
            return fail(invalid(fmt::format("{} redirects more than {} times", endpoint.name(), kMaxRedirects)));
        auto next = next_url(*exchange);
        exchange->skip_body();
        if (!next) return fail(next.error());
        url = std::move(*next);
    }
}

RegistryResult<HttpExchange> RegistrySession::authorized(RegistryEndpoint& endpoint, const RegistryCall& call,
                                                         const Url& url) {
    const auto base = endpoint.base();
    if (!base) return fail(base.error());
    const bool is_own = url.same_origin(*base);
    for (unsigned tries = 1;; ++tries) {
        HttpCall request{call.method, url, call.fields, call.body, call.answer_bytes};
        std::string used;
        if (is_own) {
            const auto authorization = endpoint.authorization(call.scope);
            if (!authorization) return fail(authorization.error());
            used = *authorization;
            if (!used.empty()) request.fields.emplace_back("Authorization", used);
        }
        auto exchange = pool_.send(request);
        if (!exchange) return exchange;
        if (is_own && exchange->status() == 403 && tries < kMaxAuthorizations &&
            endpoint.was_denied(call.scope, used)) {
            exchange->skip_body();
            continue;
        }
        if (exchange->status() != 401) {
            if (is_own) endpoint.note_accepted(call.scope, used);
            return exchange;
        }
        const RegistryError refused = refusal(endpoint, *exchange);
        if (!is_own || tries == kMaxAuthorizations) return fail(refused);
        if (const auto renewed = endpoint.renew(call.scope, used, exchange->answer(), refused); !renewed)
            return fail(renewed.error());
    }
}

}  // namespace brokerd
