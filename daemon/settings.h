#pragma once

#include "daemon/config/config.h"
#include "daemon/control/routes.h"
#include "daemon/core/plugin_table.h"
#include "daemon/discovery/discovery.h"
#include "daemon/loop/log.h"
#include "daemon/registry/registry_settings.h"
#include "daemon/runtime/runtime_settings.h"

// What the operator's Config means to each part of the daemon, at start and whenever it is read again.

namespace brokerd {

[[nodiscard]] LogLevel log_level(const Config& config);
[[nodiscard]] DiscoverySettings discovery_settings(const Config& config);
[[nodiscard]] PluginTableSettings table_settings(const Config& config);
/// With the proxies that the environment names.
[[nodiscard]] RegistrySettings registry_settings(const Config& config);
[[nodiscard]] RuntimeSettings runtime_settings(const Config& config);
[[nodiscard]] BrokerFacts broker_facts(const Config& config);

}  // namespace brokerd
