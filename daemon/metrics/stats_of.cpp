#include "daemon/metrics/stats_of.h"

namespace brokerd {
namespace {

CallStats call_stats(const MethodCounts& counts) {
    const auto ended = [&](Outcome outcome) { return counts.calls[static_cast<std::size_t>(outcome)]; };
    CallStats stats;
    for (const std::uint64_t calls : counts.calls) stats.calls += calls;
    stats.plugin_errors = ended(Outcome::plugin_error);
    stats.broker_errors = ended(Outcome::broker_error);
    stats.client_gone = ended(Outcome::client_gone);
    stats.in_flight = counts.in_flight;
    stats.request_bytes = counts.request_bytes;
    stats.answer_bytes = counts.answer_bytes;
    stats.p50 = counts.durations.quantile(0.5);
    stats.p90 = counts.durations.quantile(0.9);
    stats.p99 = counts.durations.quantile(0.99);
    stats.max = counts.durations.max();
    return stats;
}

}  // namespace

std::vector<PluginStats> stats_of(const BrokerCounts& counts) {
    std::vector<PluginStats> all;
    for (const auto& plugin : counts.merged()) {
        PluginStats stats;
        stats.name = plugin.name;
        stats.kind = plugin.kind;
        stats.state = plugin.state;
        stats.connections = plugin.counts.connections;
        stats.total = call_stats(plugin.counts.total());
        for (const auto& method : plugin.counts.methods)
            stats.methods.push_back({method.name, call_stats(method.counts)});
        all.push_back(std::move(stats));
    }
    return all;
}

}  // namespace brokerd
