#include "daemon/control/control_server.h"

#include <utility>

namespace brokerd {
namespace {

/// Ours: so many calls to plugins can wait at the same time; further ones queue.
constexpr std::size_t kMaxWorkers = 64;
/// Ours: one disk is not faster with more.
constexpr std::size_t kMaxOperators = 8;
constexpr std::chrono::milliseconds kWorkerIdle{10'000};

}  // namespace

ControlServer::ControlServer(CoreLoop& loop, PluginQueries& core, const OperationRooms& operations,
                             UniqueFd listening_socket, Settings settings)
    : core_{loop, core},
      operations_{operations},
      broker_{std::move(settings.broker)},
      server_{std::move(listening_socket), settings.peers, settings.limits},
      streams_{server_},
      docker_events_{server_},
      leases_{loop, server_},
      shared_{core_, operations_},
      workers_{kMaxWorkers, kWorkerIdle},
      operators_{kMaxOperators, kWorkerIdle},
      subscription_{core.events().subscribe([this](const PluginEvent& event) { streams_.publish(event); })} {
    server_.start(
        [this](const ControlRequest& request, const Exchange& exchange) {
            handle_request({core_, server_, streams_, docker_events_, leases_, shared_, workers_, operators_,
                            operations_, broker_},
                           request, exchange);
        },
        streams_body);
}

ControlServer::~ControlServer() {
    // The members refer to each other: first nothing may run any more, then they may go.
    server_.stop();
}

}  // namespace brokerd
