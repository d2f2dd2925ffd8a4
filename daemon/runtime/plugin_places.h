#pragma once

#include <string>

#include "daemon/runtime/runtime_settings.h"

namespace brokerd {

/// Where the files of one plugin's run are. `id` is a valid plugin ID, so every path below is one component deeper
/// than a directory of ours. Paths are as /proc/self/mountinfo prints them where the roots of the settings are.
struct PluginPlaces {
    PluginPlaces(const RuntimeSettings& settings, const std::string& id);

    std::string rootfs;            ///< STATE/plugins/ID/rootfs
    std::string propagated_mount;  ///< STATE/plugins/ID/propagated-mount
    std::string log_directory;     ///< STATE/logs/ID
    std::string exec;              ///< RUNTIME/exec/ID: the plugin's /run/docker/plugins; what is in it is hostile
    std::string bundle;            ///< RUNTIME/bundles/ID, ours alone
    std::string lock;              ///< in the bundle; held by the shim for as long as it lives
    std::string runtime_state;     ///< RUNTIME/runtime-state: the OCI runtime's --root
};

}  // namespace brokerd
