#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "daemon/managed/plugin_record.h"

namespace brokerd {

/// Starting and stopping plugins for those who wait until it has happened. Thread: any but the core loop's.
class PluginRuns {
public:
    virtual ~PluginRuns() = default;

    /// Starts the plugin and waits for its handshake, at most `timeout`. Nothing, or why it failed, and then it does
    /// not run. It keeps running for as long as nobody stops it, whatever its record says; once the record is known to
    /// be enabled it is also restarted. `cancelled` readable: gives up, as if it had failed.
    [[nodiscard]] virtual std::optional<std::string> start(const PluginRecordPtr& plugin, std::chrono::seconds timeout,
                                                           int cancelled) = 0;
    /// Returns once nothing is left of it, or its processes cannot be ended: then the reason.
    virtual std::optional<std::string> stop(const PluginRecordPtr& plugin) = 0;
    /// Who holds leases on it: a few words for each.
    [[nodiscard]] virtual std::vector<std::string> holders(const PluginRecordPtr& plugin) = 0;
};

}  // namespace brokerd
