#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "common/os/unique_fd.h"
#include "daemon/loop/core_loop.h"
#include "daemon/proxy/counts_collector.h"
#include "daemon/proxy/handshake.h"
#include "daemon/proxy/proxy_settings.h"
#include "daemon/proxy/route.h"
#include "daemon/proxy/route_slot.h"

namespace brokerd {

class ProxyThread;

/// The data plane as the core sees it: published sockets in, routes in, reports out.
/// Thread: the core loop's; every callback runs there too. The loop outlives it.
class Proxy {
public:
    /// Ours: for clients to take the error that they get when draining takes too long.
    static constexpr std::chrono::milliseconds kCutOffTime{1000};

    /// A handshake under way; destroying it cancels the call, and `done` is then never called.
    class Call {
    public:
        virtual ~Call() = default;
    };

    Proxy(CoreLoop& loop, const ProxySettings& settings, RouteReports reports);
    ~Proxy();
    Proxy(const Proxy&) = delete;
    Proxy& operator=(const Proxy&) = delete;

    /// Starts to serve `listener` (listening, non-blocking) by `route`, and the connections to it that have outlived
    /// the last brokerd. For an id that is published already the listener is added: a plugin may have several names,
    /// with one route, one set of counters, and one max_connections for all.
    void publish(UniqueFd listener, const std::shared_ptr<const Route>& route);
    /// Replaces the route of the same id.
    void set_route(const std::shared_ptr<const Route>& route);
    /// Stops listening, on all of its sockets; calls under way are finished, waiting ones are answered with an error.
    void withdraw(std::uint64_t id);

    /// Other limits from now on; `threads` must be as it was.
    void set_limits(const ProxySettings& settings);

    /// Before the process ends: no more connections are accepted (they wait in the backlog, for whoever has the sockets
    /// next), requests under way are finished and answered with `Connection: close`, and idle connections are closed
    /// once their client has sent nothing for a moment. Requests that are left after `limit` are answered with an
    /// error, unless their answer has begun. `done` is called when no connection is left, or kCutOffTime after `limit`;
    /// what is left then ends with this object. Once only.
    void drain(std::chrono::milliseconds limit, std::function<void()> done);

    /// Asks the plugin `id` at `target` for its manifest, within `limit`.
    [[nodiscard]] std::unique_ptr<Call> handshake(std::uint64_t id, std::shared_ptr<const Target> target,
                                                  std::chrono::milliseconds limit,
                                                  std::function<void(HandshakeOutcome)> done);

    /// `done` gets what every thread has counted by some time after this call; never before this returns.
    void collect(CountsCollector::Done done) { collector_->collect(std::move(done)); }

private:
    [[nodiscard]] ProxyThread& thread_of(std::uint64_t id) { return *threads_[id % threads_.size()]; }

    /// What drain() waits for.
    struct Draining {
        std::function<void()> done;  ///< empty once called
        std::size_t threads_left = 0;
        std::unique_ptr<Scheduler::Timer> limit;
        std::unique_ptr<Scheduler::Timer> end;
    };
    void cut_off(Draining& draining);
    static void finish(Draining& draining);

    CoreLoop& loop_;
    std::uint64_t last_call_ = 0;
    ConnectionKeeper* keeper_;
    std::shared_ptr<Draining> draining_;
    std::vector<std::unique_ptr<ProxyThread>> threads_;
    const std::shared_ptr<CountsCollector> collector_ = std::make_shared<CountsCollector>(loop_, threads_);
};

}  // namespace brokerd
