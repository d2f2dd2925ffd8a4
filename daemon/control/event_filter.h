#pragma once

#include <set>
#include <string>
#include <vector>

#include "common/plugin_view.h"

namespace brokerd {

/// Which events a watcher of one capability is told: what an engine's handler needs, and no more.
/// - `active`, `running` and `changed` of a plugin that has the capability (now): "use it".
/// - `changed`, `failed`, `invalid` and `gone`, of a managed one `restarting`, `failed` and the first of `stopping`,
///   `stopped` and `removed`, of a plugin that had it: "stop using it".
/// Without a capability every event passes. Thread: any one at a time.
class EventFilter {
public:
    explicit EventFilter(std::string capability) : capability_{std::move(capability)} {}

    [[nodiscard]] bool passes(const PluginEvent& event);
    /// A plugin is known to the watcher already, as far as it has the capability.
    void learn(const PluginView& plugin);
    [[nodiscard]] bool wants(const std::vector<std::string>& implements) const;

private:
    std::string capability_;
    std::set<std::string> having_;  ///< plugins that have the capability, as far as the watcher can know
};

}  // namespace brokerd
