#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/plugin_view.h"
#include "daemon/core/event_log.h"
#include "daemon/core/leases.h"
#include "daemon/metrics/broker_counts.h"

namespace brokerd {

/// What the control plane may ask of the core. PluginTable answers; tests put a fake in its place.
/// Thread: the core loop's.
class PluginQueries {
public:
    /// Receives the plugin as it is then; empty where there is no plugin of that name (any more).
    using Settled = std::function<void(std::optional<PluginView>)>;

    virtual ~PluginQueries() = default;

    /// Every plugin, by name.
    [[nodiscard]] virtual std::vector<PluginView> list() const = 0;
    [[nodiscard]] virtual std::optional<PluginView> find(const std::string& name) const = 0;

    /// Calls `done` once: as soon as the plugin is active, failed, invalid or gone, and at the latest after `timeout`.
    /// A plugin that nobody has activated yet is activated by this. May call back before it returns.
    virtual void when_settled(const std::string& name, std::chrono::milliseconds timeout, Settled done) = 0;

    /// Starts a handshake now, also where the plugin is active or waiting for its next attempt, and calls `done` with
    /// its outcome, at the latest after `timeout`. An active plugin stays in service meanwhile.
    virtual void activate(const std::string& name, std::chrono::milliseconds timeout, Settled done) = 0;

    /// An engine asked for `capability`, which the plugin does not have: remembered for doctor().
    virtual void note_missing_capability(const std::string& name, const std::string& capability) = 0;

    /// Everything that keeps a plugin from working or will soon, with its remedy; worst first.
    [[nodiscard]] virtual std::vector<Finding> doctor() const = 0;

    /// Calls `done`, later, with what has been counted of every plugin.
    virtual void collect_counts(std::function<void(BrokerCounts)> done) = 0;

    [[nodiscard]] virtual EventLog& events() noexcept = 0;
    /// Who claims to use which plugin, by PluginView::name.
    [[nodiscard]] virtual Leases& leases() noexcept = 0;
};

}  // namespace brokerd
