#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "daemon/operations/on_done.h"
#include "daemon/operations/operation_error.h"
#include "daemon/operations/rooms.h"

namespace brokerd {

/// `docker plugin enable [--timeout]`: starts the plugin and waits for its handshake; only then it is stored as
/// enabled. On any failure it does not run and is disabled as before, and the error has the cause. No `timeout`: the
/// one that the plugin was enabled with the last time.
[[nodiscard]] OperationResult<PluginRecordPtr> enable_plugin(const OperationRooms& rooms, const std::string& name,
                                                             std::optional<std::chrono::seconds> timeout, int cancelled,
                                                             const OnDone& done = {});

/// `docker plugin disable [--force]`: from now on the operator does not want it to run; returns once it has ended.
/// Refused while somebody uses it, unless forced.
[[nodiscard]] OperationResult<PluginRecordPtr> disable_plugin(const OperationRooms& rooms, const std::string& name,
                                                              bool force, int cancelled, const OnDone& done = {});

/// `docker plugin rm [--force]`: the plugin as it was. With its blobs, where no other plugin uses them, and its logs.
/// Refused while it is enabled, unless forced; then it is disabled by force first. Cancelled while it ends: it stays,
/// disabled, and that is told to `only_disabled`.
[[nodiscard]] OperationResult<PluginRecordPtr> remove_plugin(const OperationRooms& rooms, const std::string& name,
                                                             bool force, int cancelled, const OnDone& done = {},
                                                             const OnDone& only_disabled = {});

}  // namespace brokerd
