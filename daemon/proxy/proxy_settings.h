#pragma once

#include <chrono>
#include <cstddef>

namespace brokerd {

class ConnectionKeeper;

/// What the operator chooses for the data plane as a whole. What differs from plugin to plugin is in its Route.
struct ProxySettings {
    unsigned threads = 1;
    /// DESIGN.md section 7: connections per published socket; more wait in the backlog.
    std::size_t max_connections = 4096;
    /// Ours: from the first byte of a request's head to its end.
    std::chrono::seconds request_limit{30};
    /// Ours: for an engine that takes nothing of an answer, be it because its own client does not; zero: none.
    std::chrono::seconds unread_limit{600};
    /// Outlives the data plane; null: clients' connections end with this process, however it ends.
    ConnectionKeeper* keeper = nullptr;

    /// The part of max_connections that thread number `thread` may take, so that all together take exactly that many.
    /// A connection that finds one thread's part used up is taken by another thread.
    [[nodiscard]] std::size_t share(unsigned thread) const noexcept {
        return max_connections / threads + (thread < max_connections % threads ? 1 : 0);
    }
};

}  // namespace brokerd
