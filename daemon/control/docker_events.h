#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>

#include "daemon/control/docker_event.h"
#include "daemon/control/exchange.h"
#include "daemon/control/http_server.h"

namespace brokerd {

/// GET /events: what clients did to managed plugins, told as Docker does, where it is done: the core's own events
/// (EventLog) tell of plugins' states, and know neither what was typed nor which call it was.
///
/// Order: all goes through the server's mailbox, so a client that has its answer finds the event among those of the
/// past. Nothing is kept beyond the process. Outlives jobs and handlers, which tell it.
class DockerEvents {
public:
    /// As in Docker: so many of the past are kept.
    static constexpr std::size_t kKept = 256;

    struct Watch {
        using Time = std::chrono::system_clock::time_point;
        std::optional<Time> since;  ///< past events from then on
        std::optional<Time> until;  ///< the answer ends then; also with past events
        DockerEventFilter filter;
    };

    explicit DockerEvents(HttpServer& server) noexcept : server_{server} {}

    /// Completes `event` with the time and tells everybody who watches. Any thread; to be called before the client is
    /// answered.
    void tell(DockerEvent event);

    /// Answers `exchange` with the events that `watch` wants. Any thread.
    void watch(const Exchange& exchange, Watch watch);

private:
    struct Watcher {
        Exchange exchange;
        DockerEventFilter filter;
    };

    // ---- on the server's thread ----
    void keep(DockerEvent event);
    void open(const Exchange& exchange, Watch watch);
    [[nodiscard]] std::string past(const Watch& watch) const;

    HttpServer& server_;
    std::deque<DockerEvent> kept_;                        ///< oldest first
    std::unordered_map<Exchange::Id, Watcher> watchers_;  ///< by connection
};

}  // namespace brokerd
