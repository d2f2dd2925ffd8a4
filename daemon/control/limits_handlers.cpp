#include "daemon/control/handlers.h"
#include "daemon/control/operation_reply.h"
#include "daemon/control/request_bodies.h"
#include "daemon/operations/configure.h"

/// Limits of managed plugins, which Docker's API has no words for.
namespace brokerd {

void set_plugin_limits(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange) {
    auto asked = parse_limits_request(request.request.body);
    if (!asked) {
        return exchange.reply(error_reply::operation_failed({OperationError::Kind::invalid, asked.error().message}));
    }
    run_operation(
        rooms, exchange,
        [&operations = rooms.operations, name = request.path.find("name")->second, asked = *std::move(asked)] {
            return configure_plugin(operations, name, asked.settings, asked.limits);
        },
        [](const PluginRecordPtr&) {
            return ControlReply{204, {}, {}, {}};
        });
}

}  // namespace brokerd
