#pragma once

#include <string>
#include <vector>

#include "daemon/operations/operation_error.h"
#include "daemon/operations/rooms.h"

namespace brokerd {

/// Changes settings (arguments of `docker plugin set`) and limits of a plugin that is not enabled: all of it, or
/// nothing where one part is wrong. New sources and paths of settable mounts and devices become granted. The plugin as
/// it is then.
[[nodiscard]] OperationResult<PluginRecordPtr> configure_plugin(const OperationRooms& rooms, const std::string& name,
                                                                const std::vector<std::string>& arguments,
                                                                const LimitsChange& limits);

}  // namespace brokerd
