#pragma once

#include <openssl/ssl.h>

#include <chrono>
#include <cstddef>
#include <deque>
#include <map>
#include <memory>

namespace brokerd {

class TlsContext;

/// What a plugin gave us to make the next TLS handshake with it short, and until when we rely on the verification of
/// its certificate that stands behind it: a resumed handshake shows no certificate.
struct TlsSession {
    struct Free {
        void operator()(SSL_SESSION* session) const noexcept { SSL_SESSION_free(session); }
    };
    std::unique_ptr<SSL_SESSION, Free> session;  ///< null: none
    std::chrono::system_clock::time_point verified_until{};
};

/// The TLS sessions of one proxy thread. They belong to the TlsContext that they were made with, and are used with no
/// other: each target has its own, so what was verified for a session (authority, host name) is what its user demands,
/// and a new target (changed definition, certificates read again) starts with full handshakes.
/// Thread: one proxy thread's; nothing is shared with others. Outlives the connections that use it.
class SessionStore {
public:
    using Time = std::chrono::system_clock::time_point;

    /// Ours: the newest of a target's sessions; a server gives out two per full handshake, one per resumed one.
    static constexpr std::size_t kMaxPerContext = 8;
    /// Ours: after this long the plugin shows its certificate again, though each resumed handshake brings new tickets
    /// (RFC 8446 4.6.1 recommends such a limit). One full handshake an hour costs nothing.
    static constexpr std::chrono::hours kMaxAge{1};

    /// The newest session that is still good. A TLS 1.3 ticket is taken out, to be used once (RFC 8446 C.4); a TLS 1.2
    /// session stays, for its server gives out no other when it is resumed.
    [[nodiscard]] TlsSession take(const std::shared_ptr<const TlsContext>& context, Time now);
    void keep(const std::weak_ptr<const TlsContext>& context, TlsSession session, Time now);
    /// A handshake with a session has failed: drops the others, and with `for_good` takes no more of this context.
    void give_up(const std::shared_ptr<const TlsContext>& context, bool for_good);

    /// How many are held, of all contexts.
    [[nodiscard]] std::size_t size() const noexcept;

private:
    struct Sessions {
        std::deque<TlsSession> oldest_first;
        bool refused = false;
    };

    // Ordered by owner: a new context never takes the place of an old one that had the same address.
    std::map<std::weak_ptr<const TlsContext>, Sessions, std::owner_less<>> contexts_;
};

}  // namespace brokerd
