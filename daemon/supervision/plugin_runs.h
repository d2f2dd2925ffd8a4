#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "daemon/managed/plugin_record.h"

namespace brokerd {

/// Starting and stopping plugins for those who wait until it has happened. Thread: any but the core loop's. `cancelled`
/// is a descriptor that becomes readable when the waiting is to end.
class PluginRuns {
public:
    virtual ~PluginRuns() = default;

    /// Starts the plugin and waits for its handshake, at most `timeout`. Nothing, or why it failed, and then it does
    /// not run. It keeps running until stop(), whatever its record says; once the core knows of a record that is
    /// enabled, it is also restarted. Cancelled: gives up, as if it had failed.
    [[nodiscard]] virtual std::optional<std::string> start(const PluginRecordPtr& plugin, std::chrono::seconds timeout,
                                                           int cancelled) = 0;
    /// Returns once nothing is left of it; or why that takes longer than anybody should wait (a process that the kernel
    /// does not let end). Cancelled: it goes on without us.
    virtual std::optional<std::string> stop(const PluginRecordPtr& plugin, int cancelled) = 0;
    /// Who uses it, a few words for each: holders of leases, containers that have its volumes mounted.
    /// Nothing: given up before it was known.
    [[nodiscard]] virtual std::optional<std::vector<std::string>> users(const PluginRecordPtr& plugin,
                                                                        int cancelled) = 0;
};

}  // namespace brokerd
