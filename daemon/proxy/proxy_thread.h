#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <unordered_map>

#include "daemon/metrics/broker_counts.h"
#include "daemon/proxy/handshake.h"
#include "daemon/proxy/proxy_settings.h"
#include "daemon/proxy/route_slot.h"

namespace brokerd {

/// One thread of the data plane: an event loop, and a slot for each plugin. Shares nothing with other threads but
/// immutable routes; everything it learns it reports by message.
/// Thread: methods may be called from any thread; they post to the thread's own loop.
class ProxyThread {
public:
    /// `number`: which of the settings' threads this is, from 0.
    ProxyThread(RouteReports reports, const ProxySettings& settings, unsigned number);
    /// Ends the thread and closes its connections.
    ~ProxyThread();
    ProxyThread(const ProxyThread&) = delete;
    ProxyThread& operator=(const ProxyThread&) = delete;

    /// A further listener for a route that is there already is added to it.
    void publish(std::shared_ptr<const UniqueFd> listener, std::shared_ptr<const Route> route);
    /// Serves connections that have been accepted already, by the route of this id.
    void adopt(std::uint64_t id, std::vector<UniqueFd> connections);
    void set_route(std::shared_ptr<const Route> route);
    void withdraw(std::uint64_t id);
    /// From now on these limits hold, but for the number of threads; connections beyond them stay.
    void set_limits(const ProxySettings& settings);
    /// `drained` is called on this thread once no client is left; no new ones are accepted. Once only.
    void drain(std::function<void()> drained);
    /// While it drains: requests that are left are answered with an error.
    void cut_off();

    /// `done` is called on this thread.
    void handshake(std::uint64_t call, std::uint64_t id, std::shared_ptr<const Target> target,
                   std::chrono::milliseconds limit, std::function<void(HandshakeOutcome)> done);
    void cancel_handshake(std::uint64_t call);

    /// Gives `done` a copy of what this thread has counted; `done` is called on this thread.
    void collect(std::function<void(ThreadCounts)> done);

private:
    void run() noexcept;
    void on_slot_drained();

    const RouteReports reports_;
    const unsigned number_;
    ThreadContext context_;
    // Everything below belongs to the thread.
    std::unordered_map<std::uint64_t, std::unique_ptr<RouteSlot>> slots_;
    std::unordered_map<std::uint64_t, std::unique_ptr<RouteSlot>> withdrawn_;
    std::unordered_map<std::uint64_t, std::shared_ptr<Handshake>> handshakes_;
    std::function<void()> drained_;
    std::size_t draining_slots_ = 0;
    bool draining_ = false;
    std::thread thread_;
};

}  // namespace brokerd
