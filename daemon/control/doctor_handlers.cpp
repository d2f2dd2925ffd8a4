#include "daemon/control/handlers.h"
#include "daemon/control/json_reply.h"

namespace brokerd {

void examine(const ControlRooms& rooms, const RoutedRequest&, const Exchange& exchange) {
    rooms.shared.findings.ask(
        exchange, "doctor", [](const std::vector<Finding>& findings) { return json_list_reply("Findings", findings); });
}

}  // namespace brokerd
