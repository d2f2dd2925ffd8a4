#include "daemon/metrics/broker_counts.h"

#include <algorithm>
#include <unordered_map>

namespace brokerd {

void PluginCounts::merge(const PluginCounts& other) {
    connections += other.connections;
    idle_upstreams += other.idle_upstreams;
    max_connections += other.max_connections;
    for (const Method& method : other.methods) {
        const auto same = std::find_if(methods.begin(), methods.end(),
                                       [&](const Method& known) { return known.name == method.name; });
        if (same != methods.end()) {
            same->counts.merge(method.counts);
        } else {
            methods.push_back(method);
        }
    }
}

MethodCounts PluginCounts::total() const noexcept {
    MethodCounts total;
    for (const Method& method : methods) total.merge(method.counts);
    return total;
}

std::vector<PluginCounts::Method> copy_counts(const PluginMeter& meter) {
    std::vector<PluginCounts::Method> copies;
    copies.reserve(meter.methods().size());
    for (const auto& method : meter.methods()) copies.push_back({method->name, method->meter.counts()});
    return copies;
}

std::vector<BrokerCounts::Merged> BrokerCounts::merged() const {
    std::vector<Merged> all;
    all.reserve(plugins.size());
    std::unordered_map<std::uint64_t, std::size_t> places;
    for (const Plugin& plugin : plugins) {
        places.emplace(plugin.id, all.size());
        all.push_back({plugin, {}});
    }
    if (threads) {
        for (const ThreadCounts& thread : *threads) {
            for (const PluginCounts& counts : thread) {
                // A slot that a thread has lost or got since then is none of the plugins that the core spoke of.
                if (const auto place = places.find(counts.id); place != places.end())
                    all[place->second].counts.merge(counts);
            }
        }
    }
    std::sort(all.begin(), all.end(), [](const Merged& a, const Merged& b) { return a.name < b.name; });
    for (Merged& plugin : all) {
        std::sort(plugin.counts.methods.begin(), plugin.counts.methods.end(),
                  [](const auto& a, const auto& b) { return a.name < b.name; });
    }
    return all;
}

}  // namespace brokerd
