#include "daemon/tls/session_store.h"

#include <algorithm>

namespace brokerd {
namespace {

/// When the server forgets the session: by the ticket's own word, else by OpenSSL's default for sessions.
SessionStore::Time expiry_of(const SSL_SESSION* session) {
    const unsigned long hint = SSL_SESSION_get_ticket_lifetime_hint(session);
    const long life = hint > 0 ? static_cast<long>(std::min(hint, 7UL * 24 * 3600)) : SSL_SESSION_get_timeout(session);
    return std::chrono::system_clock::from_time_t(SSL_SESSION_get_time(session) + life);
}

bool is_good(const TlsSession& held, SessionStore::Time now) {
    return now < held.verified_until && now < expiry_of(held.session.get()) &&
           SSL_SESSION_is_resumable(held.session.get()) == 1;
}

bool is_single_use(const SSL_SESSION* session) {
    return SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION;
}

}  // namespace

TlsSession SessionStore::take(const std::shared_ptr<const TlsContext>& context, Time now) {
    const auto found = contexts_.find(context);
    if (found == contexts_.end()) return {};
    auto& sessions = found->second.oldest_first;
    while (!sessions.empty() && !is_good(sessions.back(), now)) sessions.pop_back();
    if (sessions.empty()) return {};
    TlsSession& newest = sessions.back();
    TlsSession taken{nullptr, newest.verified_until};
    if (is_single_use(newest.session.get())) {
        taken.session = std::move(newest.session);
        sessions.pop_back();
    } else {
        SSL_SESSION_up_ref(newest.session.get());
        taken.session.reset(newest.session.get());
    }
    return taken;
}

void SessionStore::keep(const std::weak_ptr<const TlsContext>& context, TlsSession session, Time now) {
    if (!is_good(session, now)) return;
    auto found = contexts_.find(context);
    if (found == contexts_.end()) {
        std::erase_if(contexts_, [](const auto& entry) { return entry.first.expired(); });
        found = contexts_.try_emplace(context).first;
    }
    if (found->second.refused) return;
    auto& sessions = found->second.oldest_first;
    if (sessions.size() == kMaxPerContext) sessions.pop_front();
    sessions.push_back(std::move(session));
}

void SessionStore::give_up(const std::shared_ptr<const TlsContext>& context, bool for_good) {
    const auto found = contexts_.find(context);
    if (found == contexts_.end()) {
        if (for_good) contexts_.try_emplace(context).first->second.refused = true;
        return;
    }
    found->second.oldest_first.clear();
    if (for_good) found->second.refused = true;
}

std::size_t SessionStore::size() const noexcept {
    std::size_t count = 0;
    for (const auto& [context, sessions] : contexts_) count += sessions.oldest_first.size();
    return count;
}

}  // namespace brokerd
