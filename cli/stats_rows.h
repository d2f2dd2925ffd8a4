#pragma once

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/plugin_stats.h"

namespace brokerd::cli {

/// One line of `stats`: a plugin, or one of its methods.
struct StatsRow {
    std::string plugin;
    std::string method;  ///< empty: all of them
    std::string state;
    std::uint64_t connections = 0;  ///< the plugin's
    CallStats stats;
    std::optional<double> calls_per_second;  ///< since the reading before
};

/// The JSON members of a row, for --format.
inline constexpr std::array<std::string_view, 17> kStatsFields{
    "Plugin",      "Method",       "State",        "Connections", "Calls",    "CallsPerSecond",
    "Errors",      "PluginErrors", "BrokerErrors", "ClientGone",  "InFlight", "RequestBytes",
    "AnswerBytes", "P50",          "P90",          "P99",         "Max"};

/// Which rows are wanted.
struct StatsChoice {
    std::vector<std::string> names;  ///< empty: all
    bool idle = false;               ///< without names: also plugins that are neither active nor were called
    bool methods = false;            ///< a row for each method instead of one for each plugin
};

/// The rows of `now`. `before` is the reading `elapsed` earlier, empty where there was none.
[[nodiscard]] std::vector<StatsRow> stats_rows(const std::vector<PluginStats>& now,
                                               const std::vector<PluginStats>& before,
                                               std::chrono::duration<double> elapsed, const StatsChoice& choice);
/// The first of the names that no plugin has, or nothing.
[[nodiscard]] std::optional<std::string> unknown_name(const std::vector<PluginStats>& stats, const StatsChoice& choice);

void write_json(JsonWriter& writer, const StatsRow& row);
/// Heading and rows, aligned.
[[nodiscard]] std::string stats_table(const std::vector<StatsRow>& rows, bool methods);

}  // namespace brokerd::cli
