#pragma once

#include <string>

#include "daemon/metrics/broker_counts.h"
#include "daemon/metrics/process_figures.h"

namespace brokerd {

/// Everything that `GET /broker/v1/metrics` tells, in Prometheus' text format. README.md lists the families.
[[nodiscard]] std::string metrics_page(const BrokerCounts& counts, const ProcessFigures& process);

}  // namespace brokerd
