#pragma once

#include <string>

#include "common/current.h"
#include "daemon/archive/limits.h"
#include "daemon/images/blob_store.h"
#include "daemon/logs/plugin_logs.h"
#include "daemon/operations/installed_plugins.h"
#include "daemon/registry/registry_settings.h"
#include "daemon/supervision/plugin_runs.h"

namespace brokerd {

/// What operations on managed plugins work with. Everything outlives them. Thread: any.
struct OperationRooms {
    InstalledPlugins& plugins;
    PluginClaims& claims;
    BlobStore& blobs;
    const Current<RegistrySettings>& registries;
    const ArchiveLimits& limits;
    PluginRuns& runs;
    const PluginLogs& logs;
    /// Why the state root cannot be used, with what to do: then `plugins` and `blobs` stand in for what is not there,
    /// and no operation may begin. Empty: all is well.
    std::string unavailable{};
};

}  // namespace brokerd
