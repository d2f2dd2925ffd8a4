#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "daemon/control/exchange.h"
#include "daemon/control/http_server.h"
#include "daemon/core/leases.h"
#include "daemon/loop/core_loop.h"

namespace brokerd {

/// The leases of POST /broker/v1/plugins/{name}/lease: each lasts as long as its connection, on which nothing happens.
/// So one costs a descriptor and no thread, and one whose holder is killed is given back by the kernel's telling.
///
/// Thread: construct and destroy on the core loop's, where the leases are; the server's runs the connections.
class LeaseConnections {
public:
    LeaseConnections(CoreLoop& loop, HttpServer& server)
        : loop_{loop}, server_{server}, held_{std::make_shared<Held>()} {}

    /// Answers `exchange` with `first_line`, and holds `lease` until its client goes away or stops sending. Where the
    /// server refuses another stream, the lease ends at once. Core loop's thread.
    void hold(const Exchange& exchange, Leases::Lease lease, std::string first_line);

private:
    using Held = std::unordered_map<Exchange::Id, Leases::Lease>;  ///< by the number of the request

    // ---- on the server's thread ----
    void open(const Exchange& exchange, const std::string& first_line);

    CoreLoop& loop_;
    HttpServer& server_;
    std::shared_ptr<Held> held_;  ///< owned here alone; what is posted back looks whether it is still there
};

}  // namespace brokerd
