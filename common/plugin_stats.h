#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "common/json.h"

namespace brokerd {

/// What the control API says of how a plugin, or one of its methods, was called since the plugin was published.
/// Durations run from handing a call to the plugin to the end of its answer, and are known within 1/16. Bytes are those
/// of bodies.
struct CallStats {
    std::uint64_t calls = 0;          ///< JSON Calls: that have ended
    std::uint64_t plugin_errors = 0;  ///< JSON PluginErrors: of these, answered by the plugin with status 400 or more
    std::uint64_t broker_errors = 0;  ///< JSON BrokerErrors: not answered by the plugin, or not completely
    std::uint64_t client_gone = 0;    ///< JSON ClientGone: left by the engine before the answer was complete
    std::uint64_t in_flight = 0;      ///< JSON InFlight: calls that have not ended
    std::uint64_t request_bytes = 0;  ///< JSON RequestBytes
    std::uint64_t answer_bytes = 0;   ///< JSON AnswerBytes
    std::chrono::nanoseconds p50{};   ///< JSON P50, in nanoseconds as the others; 0 where no call reached the plugin
    std::chrono::nanoseconds p90{};   ///< JSON P90
    std::chrono::nanoseconds p99{};   ///< JSON P99
    std::chrono::nanoseconds max{};   ///< JSON Max

    [[nodiscard]] std::uint64_t errors() const noexcept { return plugin_errors + broker_errors; }
};

/// One method; its members stand beside JSON Name.
struct MethodStats {
    std::string name;  ///< JSON Name: "VolumeDriver.Get" as the engine wrote it, or "other"
    CallStats stats;
};

/// One plugin; the members of `total` stand beside the others.
struct PluginStats {
    std::string name;               ///< JSON Name
    std::string kind = "legacy";    ///< JSON Kind
    std::string state;              ///< JSON State
    std::uint64_t connections = 0;  ///< JSON Connections: of engines, to its published socket
    CallStats total;
    std::vector<MethodStats> methods;  ///< JSON Methods: those that were called
};

/// The members of `stats`, within an object that the caller has begun.
void write_members(JsonWriter& writer, const CallStats& stats);
void write_json(JsonWriter& writer, const PluginStats& stats);

/// Missing or ill-typed members become empty ones: the other side may be another version.
[[nodiscard]] PluginStats plugin_stats_from_json(const rapidjson::Value& value);

}  // namespace brokerd
