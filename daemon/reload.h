#pragma once

#include <optional>

#include "common/current.h"
#include "daemon/config/config.h"
#include "daemon/control/control_server.h"
#include "daemon/core/plugin_table.h"
#include "daemon/discovery/discovery.h"
#include "daemon/operations/installed_plugins.h"
#include "daemon/registry/registry_settings.h"
#include "daemon/runtime/container_runner.h"

namespace brokerd {

/// SIGHUP: reads again what an operator may have changed, and makes it hold without dropping a connection. Thread: the
/// core loop's, which reads the file: it is small, and systemd waits for READY=1. Everything it is given outlives it.
class Reload {
public:
    /// What reads settings while it runs.
    struct Parts {
        Discovery& discovery;
        PluginTable& plugins;
        InstalledPlugins& installed;
        Current<RegistrySettings>& registries;
        std::optional<ContainerRunner>& runner;
        ControlServer& control;
    };

    /// `argv` as for load_config(). `in_force`: what brokerd was started with; changed by each reload.
    Reload(int argc, const char* const* argv, Config& in_force, Parts parts)
        : argc_{argc}, argv_{argv}, in_force_{in_force}, parts_{parts} {}

    /// Reads brokerd.conf, the plugin directories and plugins.json. A config file with a mistake is refused as a whole;
    /// the rest is read all the same. systemd and the log are told.
    void operator()();

private:
    /// What systemd is to show as the status.
    std::string read_config();
    void apply();

    const int argc_;
    const char* const* const argv_;
    Config& in_force_;
    const Parts parts_;
};

}  // namespace brokerd
