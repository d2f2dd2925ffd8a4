#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "common/current.h"
#include "daemon/control/control_message.h"
#include "daemon/control/core_access.h"
#include "daemon/control/docker_events.h"
#include "daemon/control/event_streams.h"
#include "daemon/control/exchange.h"
#include "daemon/control/http_server.h"
#include "daemon/control/lease_connections.h"
#include "daemon/control/shared_answers.h"
#include "daemon/control/worker_pool.h"
#include "daemon/operations/rooms.h"

namespace brokerd {

/// What the operator has configured, as far as GET /info tells it.
struct BrokerFacts {
    std::string state_root;
    std::string oci_runtime;  ///< a path, or a name
    bool live_restore = true;
};

/// What handlers work with. Everything outlives them.
struct ControlRooms {
    CoreAccess& core;
    HttpServer& server;
    EventStreams& streams;
    DockerEvents& docker_events;
    LeaseConnections& leases;
    SharedAnswers& shared;
    WorkerPool& workers;    ///< for calls to plugins, which may all hang
    WorkerPool& operators;  ///< for operations that wait for nothing but the disk
    const OperationRooms& operations;
    const Current<BrokerFacts>& broker;
};

/// The values of a route's {variables} by their names.
using PathVariables = std::map<std::string, std::string, std::less<>>;

/// A request that has found its route.
struct RoutedRequest {
    const ControlRequest& request;
    PathVariables path;  ///< decoded; beside the route's variables "api", where a version of Docker's API was given

    /// The query parameter, or nothing where it is not given.
    [[nodiscard]] std::optional<std::string> parameter(const std::string& name) const;
};

/// Finds the route of `request` and calls its handler, on the server's thread. Every handler answers `exchange`, itself
/// or through the core or a worker, and never waits.
void handle_request(const ControlRooms& rooms, const ControlRequest& request, const Exchange& exchange);

/// Whether the route of a request reads its body as a job, so that handle_request() is due before the body comes.
[[nodiscard]] bool streams_body(const ControlRequest& head);

/// The values of `pattern`'s variables if `path` fits it. "{name}" stands for one or more path segments, any other
/// variable for one. Nothing is decoded here: a "/" that is written %2F separates nothing. With one {name} in the
/// pattern, the time that it takes grows with the length of the path and no faster.
[[nodiscard]] std::optional<PathVariables> match_path(std::string_view pattern, std::string_view path);

}  // namespace brokerd
