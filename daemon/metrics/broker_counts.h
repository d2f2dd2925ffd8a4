#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "daemon/metrics/call_meter.h"

namespace brokerd {

/// What is counted of one plugin: on one proxy thread, or on all of them together.
struct PluginCounts {
    struct Method {
        std::string name;  ///< as an engine wrote it: hostile
        MethodCounts counts;
    };

    std::uint64_t id = 0;             ///< Route::id
    std::size_t connections = 0;      ///< of engines, to its published socket
    std::size_t idle_upstreams = 0;   ///< kept-alive connections to the plugin
    std::vector<Method> methods;      ///< those that were called
    std::size_t max_connections = 0;  ///< how many connections engines may have

    /// Adds what was counted elsewhere of the same plugin.
    void merge(const PluginCounts& other);
    /// Of all methods.
    [[nodiscard]] MethodCounts total() const noexcept;
};
using ThreadCounts = std::vector<PluginCounts>;

/// A copy of what `meter` has counted.
[[nodiscard]] std::vector<PluginCounts::Method> copy_counts(const PluginMeter& meter);

/// What all threads have counted, and what they have counted it of; not merged yet, because the core has better to do.
struct BrokerCounts {
    struct Plugin {
        std::uint64_t id = 0;
        std::string name;
        std::string kind;            ///< as PluginView::kind
        std::string state;           ///< as PluginView::state
        std::uint64_t restarts = 0;  ///< as PluginView::restarts
    };
    /// What reading the configuration came to.
    struct ConfigReading {
        bool accepted = true;                                 ///< the newest time
        std::chrono::system_clock::time_point accepted_at{};  ///< the newest that was; starting is one
    };
    struct Merged : Plugin {
        PluginCounts counts;  ///< methods by name
    };

    std::vector<Plugin> plugins;
    std::shared_ptr<const std::vector<ThreadCounts>> threads;
    ConfigReading config;
    bool managed_available = true;  ///< whether the state root can be used

    /// Every plugin by name, also those that were never called.
    [[nodiscard]] std::vector<Merged> merged() const;
};

}  // namespace brokerd
