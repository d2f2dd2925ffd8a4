#include "daemon/tls/session_store.h"

#include <catch2/catch.hpp>

#include <array>

#include "daemon/tls/tls_context.h"

using namespace brokerd;
using namespace std::chrono_literals;

namespace {

const SessionStore::Time kNow = std::chrono::system_clock::from_time_t(1'800'000'000);

std::shared_ptr<const TlsContext> context() {
    TlsSettings settings;
    settings.insecure_skip_verify = true;
    return *TlsContext::load(settings, "localhost");
}

/// A session that was made `age` ago for `life`; `mark` tells it from others.
TlsSession session(unsigned char mark, int version = TLS1_3_VERSION, std::chrono::seconds age = 0s,
                   std::chrono::seconds life = 2h, std::chrono::seconds verified_for = 1h) {
    TlsSession made{std::unique_ptr<SSL_SESSION, TlsSession::Free>{SSL_SESSION_new()}, kNow + verified_for};
    SSL_SESSION_set_protocol_version(made.session.get(), version);
    SSL_SESSION_set_time(made.session.get(), std::chrono::system_clock::to_time_t(kNow - age));
    SSL_SESSION_set_timeout(made.session.get(), life.count());
    const std::array<unsigned char, 4> id{1, 2, 3, mark};
    SSL_SESSION_set1_id(made.session.get(), id.data(), id.size());
    return made;
}

/// The mark of the session that is taken next; -1 where there is none.
int take(SessionStore& store, const std::shared_ptr<const TlsContext>& owner, SessionStore::Time now = kNow) {
    const TlsSession taken = store.take(owner, now);
    if (!taken.session) return -1;
    unsigned size = 0;
    return SSL_SESSION_get_id(taken.session.get(), &size)[3];
}

}  // namespace

TEST_CASE("a TLS 1.3 session is taken once, the newest first") {
    SessionStore store;
    const auto owner = context();
    store.keep(owner, session(1), kNow);
    store.keep(owner, session(2), kNow);
    CHECK(take(store, owner) == 2);
    CHECK(take(store, owner) == 1);
    CHECK(take(store, owner) == -1);
}

TEST_CASE("a TLS 1.2 session stays until a newer one comes") {
    SessionStore store;
    const auto owner = context();
    store.keep(owner, session(1, TLS1_2_VERSION), kNow);
    CHECK(take(store, owner) == 1);
    CHECK(take(store, owner) == 1);
    store.keep(owner, session(2, TLS1_2_VERSION), kNow);
    CHECK(take(store, owner) == 2);
}

TEST_CASE("only the newest sessions of a context are held") {
    SessionStore store;
    const auto owner = context();
    for (unsigned char mark = 0; mark < 100; ++mark) store.keep(owner, session(mark), kNow);
    CHECK(store.size() == SessionStore::kMaxPerContext);
    for (int mark = 99; mark > 99 - static_cast<int>(SessionStore::kMaxPerContext); --mark)
        CHECK(take(store, owner) == mark);
    CHECK(store.size() == 0);
}

TEST_CASE("a session is good for its own context only, and goes with it") {
    SessionStore store;
    auto old = context();
    store.keep(old, session(1), kNow);
    const auto fresh = context();
    CHECK(take(store, fresh) == -1);
    CHECK(store.size() == 1);
    old.reset();
    store.keep(fresh, session(2), kNow);
    CHECK(store.size() == 1);
    CHECK(take(store, fresh) == 2);
}

TEST_CASE("sessions end with their life, and with the verification behind them") {
    SessionStore store;
    const auto owner = context();
    SECTION("over when it comes") {
        store.keep(owner, session(1, TLS1_3_VERSION, 3h, 2h), kNow);
        store.keep(owner, session(2, TLS1_3_VERSION, 0s, 2h, 0s), kNow);
        CHECK(store.size() == 0);
    }
    SECTION("its life is over") {
        store.keep(owner, session(1, TLS1_3_VERSION, 0s, 10min), kNow);
        CHECK(take(store, owner, kNow + 9min) == 1);
        store.keep(owner, session(1, TLS1_3_VERSION, 0s, 10min), kNow);
        CHECK(take(store, owner, kNow + 10min) == -1);
    }
    SECTION("the verification is too long ago, or the certificate's time is over") {
        store.keep(owner, session(1, TLS1_2_VERSION, 0s, 2h, 30min), kNow);
        CHECK(take(store, owner, kNow + 29min) == 1);
        CHECK(take(store, owner, kNow + 30min) == -1);
    }
    SECTION("an old one behind a new one that is over") {
        store.keep(owner, session(1, TLS1_3_VERSION, 0s, 2h), kNow);
        store.keep(owner, session(2, TLS1_3_VERSION, 0s, 1min), kNow);
        CHECK(take(store, owner, kNow + 5min) == 1);
    }
}

TEST_CASE("what follows from a resumed session inherits its verification") {
    SessionStore store;
    const auto owner = context();
    store.keep(owner, session(1, TLS1_3_VERSION, 0s, 2h, 7min), kNow);
    CHECK(store.take(owner, kNow).verified_until == kNow + 7min);
}

TEST_CASE("a context whose sessions are refused is left alone") {
    SessionStore store;
    const auto owner = context();
    const auto other = context();
    store.keep(owner, session(1), kNow);
    store.keep(other, session(2), kNow);
    SECTION("for now") {
        store.give_up(owner, false);
        CHECK(take(store, owner) == -1);
        store.keep(owner, session(3), kNow);
        CHECK(take(store, owner) == 3);
    }
    SECTION("for good") {
        store.give_up(owner, true);
        store.keep(owner, session(3), kNow);
        CHECK(take(store, owner) == -1);
    }
    SECTION("a context that had none") {
        const auto third = context();
        store.give_up(third, true);
        store.keep(third, session(3), kNow);
        CHECK(take(store, third) == -1);
    }
    CHECK(take(store, other) == 2);
}
