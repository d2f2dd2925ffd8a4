#include "daemon/control/lease_connections.h"

#include <utility>

#include "common/protocol/control_api.h"

namespace brokerd {

void LeaseConnections::hold(const Exchange& exchange, Leases::Lease lease, std::string first_line) {
    held_->emplace(exchange.number(), std::move(lease));
    server_.post([this, exchange, first_line = std::move(first_line)] { open(exchange, first_line); });
}

void LeaseConnections::open(const Exchange& exchange, const std::string& first_line) {
    const auto closed = [&loop = loop_, held = std::weak_ptr{held_}, number = exchange.number()] {
        loop.post([held, number] {
            if (const auto leases = held.lock()) leases->erase(number);
        });
    };
    // Where it fails, closed() may have been called already: a second time does no harm.
    if (!server_.open_stream(exchange, std::string{control_api::kNdjson}, closed, HttpServer::StreamEnd::half_closed)) {
        return closed();
    }
    server_.send(exchange, first_line);
}

}  // namespace brokerd
