#include "daemon/control/handlers.h"
#include "daemon/control/json_reply.h"

namespace brokerd {

void examine(const ControlRooms& rooms, const RoutedRequest&, const Exchange& exchange) {
    rooms.core.ask(exchange, [exchange](PluginQueries& core) {
        exchange.reply_with([findings = core.doctor()] { return json_list_reply("Findings", findings); });
    });
}

}  // namespace brokerd
