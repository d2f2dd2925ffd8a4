#pragma once

#include <string>
#include <vector>

#include "daemon/operations/operation_error.h"
#include "daemon/operations/rooms.h"

namespace brokerd {

/// An installed plugin that one operation works on.
struct HeldPlugin {
    PluginRecordPtr record;
    PluginClaims::Claim claim;
};

/// Finds a plugin by name or ID, and claims it.
[[nodiscard]] OperationResult<HeldPlugin> hold_plugin(const OperationRooms& rooms, const std::string& name);

/// `docker plugin set`: all arguments or none. New sources and paths of settable mounts and devices become granted; the
/// plugin is as it is then.
[[nodiscard]] OperationResult<PluginRecordPtr> set_plugin(const OperationRooms& rooms, const std::string& name,
                                                          const std::vector<std::string>& arguments);

/// Removes all blobs that no plugin and no running operation uses.
[[nodiscard]] OperationResult<Collected> prune(const OperationRooms& rooms);
/// The same after another operation, which does not fail because of it: what goes wrong is logged.
void collect_blobs(const OperationRooms& rooms);

}  // namespace brokerd
