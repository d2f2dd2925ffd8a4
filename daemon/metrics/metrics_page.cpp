#include "daemon/metrics/metrics_page.h"

#include <fmt/format.h>

#include <map>

#include "common/plugin_view.h"
#include "daemon/metrics/prometheus_text.h"

namespace brokerd {
namespace {

using Plugins = std::vector<BrokerCounts::Merged>;

double seconds(std::chrono::nanoseconds duration) {
    return std::chrono::duration<double>{duration}.count();
}

/// One sample for each method of each plugin that was called.
template <class Write>
void for_each_method(const Plugins& plugins, Write write) {
    for (const auto& plugin : plugins) {
        for (const auto& method : plugin.counts.methods) write(plugin.name, method.name, method.counts);
    }
}

/// Under the names that Prometheus itself has for the same.
void write_config(PrometheusText& page, const BrokerCounts::ConfigReading& config) {
    page.family("brokerd_config_last_reload_successful", "gauge",
                "Whether the configuration was accepted when it was read last: 1 or 0.");
    page.sample({}, std::uint64_t{config.accepted ? 1u : 0u});
    page.family("brokerd_config_last_reload_success_timestamp_seconds", "gauge",
                "When a configuration was accepted last, in seconds since the epoch.");
    page.sample({}, seconds(config.accepted_at.time_since_epoch()));
}

void write_broker(PrometheusText& page, const Plugins& plugins) {
    page.family("brokerd_build_info", "gauge", "Always 1; the label is the version of brokerd.");
    page.sample({{"version", BROKERD_VERSION}}, std::uint64_t{1});
    std::map<std::string, std::uint64_t> states{{"active", 0},   {"activating", 0}, {"discovered", 0}, {"failed", 0},
                                                {"invalid", 0},  {"running", 0},    {"restarting", 0}, {"starting", 0},
                                                {"stopping", 0}, {"unhealthy", 0}};
    for (const auto& plugin : plugins) ++states[plugin.state];
    page.family("brokerd_plugins", "gauge", "Plugins by state.");
    for (const auto& [state, count] : states) page.sample({{"state", state}}, count);
}

void write_availability(PrometheusText& page, bool managed_available) {
    page.family("brokerd_managed_plugins_available", "gauge",
                "Whether the state root can be used, and managed plugins with it: 1 or 0.");
    page.sample({}, std::uint64_t{managed_available ? 1u : 0u});
}

void write_states(PrometheusText& page, const Plugins& plugins) {
    page.family("brokerd_plugin_state", "gauge", "Always 1; the label is the state that the plugin is in.");
    for (const auto& plugin : plugins)
        page.sample({{"plugin", plugin.name}, {"kind", plugin.kind}, {"state", plugin.state}}, std::uint64_t{1});
    page.family("brokerd_plugin_restarts_total", "counter",
                "How often a managed plugin ended by itself or could not be started, since it was enabled.");
    for (const auto& plugin : plugins) {
        if (plugin.kind == "managed") page.sample({{"plugin", plugin.name}}, plugin.restarts);
    }
}

void write_plugins(PrometheusText& page, const Plugins& plugins) {
    page.family("brokerd_plugin_up", "gauge", "Whether calls are handed to the plugin: 1 or 0.");
    for (const auto& plugin : plugins)
        page.sample({{"plugin", plugin.name}}, std::uint64_t{is_in_service(plugin.state) ? 1u : 0u});
    page.family("brokerd_plugin_connections", "gauge", "Open connections of engines to the plugin's published socket.");
    for (const auto& plugin : plugins) page.sample({{"plugin", plugin.name}}, std::uint64_t{plugin.counts.connections});
    page.family("brokerd_plugin_max_connections", "gauge", "Most connections that engines may have to the plugin.");
    for (const auto& plugin : plugins)
        page.sample({{"plugin", plugin.name}}, std::uint64_t{plugin.counts.max_connections});
    page.family("brokerd_plugin_idle_upstream_connections", "gauge", "Connections to the plugin that wait for a call.");
    for (const auto& plugin : plugins)
        page.sample({{"plugin", plugin.name}}, std::uint64_t{plugin.counts.idle_upstreams});
}

void write_calls(PrometheusText& page, const Plugins& plugins) {
    page.family("brokerd_plugin_calls_total", "counter", "Calls that have ended, by how they ended.");
    for_each_method(plugins, [&](const auto& plugin, const auto& method, const MethodCounts& counts) {
        for (std::size_t i = 0; i < kOutcomes; ++i) {
            page.sample({{"plugin", plugin}, {"method", method}, {"outcome", outcome_name(static_cast<Outcome>(i))}},
                        counts.calls[i]);
        }
    });
    page.family("brokerd_plugin_calls_in_flight", "gauge", "Calls that the plugin has not answered completely yet.");
    for_each_method(plugins, [&](const auto& plugin, const auto& method, const MethodCounts& counts) {
        page.sample({{"plugin", plugin}, {"method", method}}, counts.in_flight);
    });
    page.family("brokerd_plugin_request_bytes_total", "counter", "Bytes of the bodies of calls that have ended.");
    for_each_method(plugins, [&](const auto& plugin, const auto& method, const MethodCounts& counts) {
        page.sample({{"plugin", plugin}, {"method", method}}, counts.request_bytes);
    });
    page.family("brokerd_plugin_answer_bytes_total", "counter", "Bytes of the bodies of their answers.");
    for_each_method(plugins, [&](const auto& plugin, const auto& method, const MethodCounts& counts) {
        page.sample({{"plugin", plugin}, {"method", method}}, counts.answer_bytes);
    });
}

void write_durations(PrometheusText& page, const Plugins& plugins) {
    std::array<std::string, LatencyHistogram::kBounds.size()> bounds;
    for (std::size_t i = 0; i < bounds.size(); ++i)
        bounds[i] = fmt::format("{}", seconds(LatencyHistogram::kBounds[i]));
    page.family("brokerd_plugin_call_duration_seconds", "histogram",
                "From handing a call to the plugin to the end of its answer.");
    for_each_method(plugins, [&](const auto& plugin, const auto& method, const MethodCounts& counts) {
        std::uint64_t count = 0;
        for (std::size_t i = 0; i <= bounds.size(); ++i) {
            count += counts.durations.between_bounds()[i];
            const std::string_view bound = i < bounds.size() ? std::string_view{bounds[i]} : "+Inf";
            page.sample({{"plugin", plugin}, {"method", method}, {"le", bound}}, count, "_bucket");
        }
        page.sample({{"plugin", plugin}, {"method", method}}, seconds(counts.durations.sum()), "_sum");
        page.sample({{"plugin", plugin}, {"method", method}}, count, "_count");
    });
}

/// Under the names that Prometheus' client libraries use.
void write_process(PrometheusText& page, const ProcessFigures& process) {
    page.family("process_cpu_seconds_total", "counter", "Processor time used, in user and kernel mode.");
    page.sample({}, process.cpu_seconds);
    page.family("process_start_time_seconds", "gauge", "When brokerd was started, in seconds since the epoch.");
    page.sample({}, process.start_time);
    page.family("process_open_fds", "gauge", "Open file descriptors.");
    page.sample({}, process.open_fds);
    page.family("process_max_fds", "gauge", "Most file descriptors that may be open.");
    page.sample({}, process.max_fds);
    page.family("process_virtual_memory_bytes", "gauge", "Address space in use.");
    page.sample({}, process.virtual_bytes);
    page.family("process_resident_memory_bytes", "gauge", "Memory in use.");
    page.sample({}, process.resident_bytes);
    page.family("process_threads", "gauge", "Threads.");
    page.sample({}, process.threads);
}

}  // namespace

std::string metrics_page(const BrokerCounts& counts, const ProcessFigures& process) {
    const Plugins plugins = counts.merged();
    PrometheusText page;
    write_broker(page, plugins);
    write_config(page, counts.config);
    write_availability(page, counts.managed_available);
    write_states(page, plugins);
    write_plugins(page, plugins);
    write_calls(page, plugins);
    write_durations(page, plugins);
    write_process(page, process);
    return page.take();
}

}  // namespace brokerd
