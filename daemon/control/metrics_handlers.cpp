#include "daemon/control/handlers.h"
#include "daemon/control/json_reply.h"
#include "daemon/metrics/metrics_page.h"
#include "daemon/metrics/prometheus_text.h"
#include "daemon/metrics/stats_of.h"

namespace brokerd {

void show_metrics(const ControlRooms& rooms, const RoutedRequest&, const Exchange& exchange) {
    rooms.shared.counts.ask(exchange, "metrics", [](const BrokerCounts& counts) -> ControlReply {
        return {200, std::string{PrometheusText::kContentType}, metrics_page(counts, read_process_figures()), {}};
    });
}

void show_stats(const ControlRooms& rooms, const RoutedRequest&, const Exchange& exchange) {
    rooms.shared.counts.ask(exchange, "stats",
                            [](const BrokerCounts& counts) { return json_list_reply("Plugins", stats_of(counts)); });
}

}  // namespace brokerd
