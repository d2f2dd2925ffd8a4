#pragma once

#include <atomic>
#include <cstddef>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/control/event_filter.h"
#include "daemon/control/exchange.h"
#include "daemon/control/http_server.h"

namespace brokerd {

/// The watchers of GET /broker/v1/events. The core loop only hands each event over once; filtering, formatting and
/// writing happen on the server's thread, so that the number of watchers does not matter to the core.
///
/// Order, without gap or duplicate: whatever the core says about events goes through one mailbox, and a watcher's
/// replay is cut on the core loop, so each later event lies behind that replay in the mailbox.
class EventStreams {
public:
    explicit EventStreams(HttpServer& server) noexcept : server_{server} {}

    // ---- on the core loop's thread ----

    /// From here on `exchange` watches: `replay` first (already filtered), then each event that passes `filter`.
    void watch(const Exchange& exchange, std::vector<PluginEvent> replay, EventFilter filter);
    /// Costs nothing while nobody watches.
    void publish(const PluginEvent& event);

private:
    struct Watcher {
        Exchange exchange;
        EventFilter filter;
    };

    // ---- on the server's thread ----
    void open(const Exchange& exchange, const std::vector<PluginEvent>& replay, EventFilter filter);
    void tell(const PluginEvent& event);

    HttpServer& server_;
    std::atomic<std::size_t> expected_ = 0;               ///< watchers, from watch() to the end of their connection
    std::unordered_map<Exchange::Id, Watcher> watchers_;  ///< by connection; the server's thread only
};

}  // namespace brokerd
