#include "daemon/control/handlers.h"
#include "daemon/control/json_reply.h"
#include "daemon/metrics/metrics_page.h"
#include "daemon/metrics/prometheus_text.h"
#include "daemon/metrics/stats_of.h"

namespace brokerd {

// The core only hands the threads' counts on; merging and writing them is left to the server's thread.

void show_metrics(const ControlRooms& rooms, const RoutedRequest&, const Exchange& exchange) {
    rooms.core.ask(exchange, [exchange](PluginQueries& core) {
        core.collect_counts([exchange](BrokerCounts counts) {
            exchange.reply_with([counts = std::move(counts)]() -> ControlReply {
                return {
                    200, std::string{PrometheusText::kContentType}, metrics_page(counts, read_process_figures()), {}};
            });
        });
    });
}

void show_stats(const ControlRooms& rooms, const RoutedRequest&, const Exchange& exchange) {
    rooms.core.ask(exchange, [exchange](PluginQueries& core) {
        core.collect_counts([exchange](BrokerCounts counts) {
            exchange.reply_with([counts = std::move(counts)] { return json_list_reply("Plugins", stats_of(counts)); });
        });
    });
}

}  // namespace brokerd
