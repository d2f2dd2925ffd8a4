#pragma once

#include "common/current.h"
#include "common/os/unique_fd.h"
#include "daemon/control/core_access.h"
#include "daemon/control/event_streams.h"
#include "daemon/control/http_server.h"
#include "daemon/control/lease_connections.h"
#include "daemon/control/peer_credentials.h"
#include "daemon/control/routes.h"
#include "daemon/control/shared_answers.h"
#include "daemon/control/worker_pool.h"
#include "daemon/core/plugin_queries.h"
#include "daemon/loop/core_loop.h"
#include "daemon/operations/rooms.h"

namespace brokerd {

/// The control socket: /broker/v1 and the part of Docker's API that is about plugins, as openapi.yaml describes them.
///
/// Its own thread does all I/O; questions go to the core loop and come back by mail; only calls to plugins hold a
/// worker thread. Thread: construct and destroy on the core loop's thread, or while the loop does not run. The
/// destructor waits for the server's threads, and these never wait for the core loop.
class ControlServer {
public:
    struct Settings {
        PeerPolicy peers{};
        HttpServer::Limits limits{};
        BrokerFacts broker{};
    };

    /// Serves from now on. `listening_socket`: bind_control_socket() or take_activated_socket(). The loop, `core` and
    /// `operations` outlive the server.
    ControlServer(CoreLoop& loop, PluginQueries& core, const OperationRooms& operations, UniqueFd listening_socket,
                  Settings settings);
    ~ControlServer();
    ControlServer(const ControlServer&) = delete;
    ControlServer& operator=(const ControlServer&) = delete;

    /// What is told of this broker from now on. Any thread.
    void set_broker(BrokerFacts broker) { broker_.set(std::move(broker)); }

private:
    CoreAccess core_;
    const OperationRooms& operations_;
    Current<BrokerFacts> broker_;
    HttpServer server_;
    EventStreams streams_;
    DockerEvents docker_events_;
    LeaseConnections leases_;
    SharedAnswers shared_;
    WorkerPool workers_;
    WorkerPool operators_;
    EventLog::Subscription subscription_;
};

}  // namespace brokerd
