#pragma once

#include <string>
#include <utility>
#include <vector>

#include "daemon/operations/on_done.h"
#include "daemon/operations/operation_error.h"
#include "daemon/operations/progress.h"
#include "daemon/operations/rooms.h"

namespace brokerd {

struct Imported {
    std::vector<PluginRecordPtr> plugins;
    std::vector<std::pair<std::string, std::string>> skipped;  ///< name, and why
};

/// Installs what an engine has in `path` (/var/lib/docker/plugins), with settings, granted privileges and what lies in
/// propagated mounts, disabled; the engine's directory stays as it is. A plugin that cannot be imported is skipped.
/// `done` is told of each plugin when it is there, whatever becomes of those after it.
[[nodiscard]] OperationResult<Imported> import_plugins(const OperationRooms& rooms, const std::string& path,
                                                       Progress& progress, int cancelled, const OnDone& done = {});

}  // namespace brokerd
