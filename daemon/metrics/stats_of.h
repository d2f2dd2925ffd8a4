#pragma once

#include <vector>

#include "common/plugin_stats.h"
#include "daemon/metrics/broker_counts.h"

namespace brokerd {

/// What `GET /broker/v1/stats` tells: every plugin by name.
[[nodiscard]] std::vector<PluginStats> stats_of(const BrokerCounts& counts);

}  // namespace brokerd
