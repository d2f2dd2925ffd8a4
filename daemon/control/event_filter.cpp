#include "daemon/control/event_filter.h"

#include <algorithm>

namespace brokerd {

bool EventFilter::wants(const std::vector<std::string>& implements) const {
    return capability_.empty() || std::find(implements.begin(), implements.end(), capability_) != implements.end();
}

void EventFilter::learn(const PluginView& plugin) {
    if (plugin.state == "disabled") return;  // nobody can have been told to use it
    if (!capability_.empty() && wants(plugin.implements)) having_.insert(plugin.name);
}

bool EventFilter::passes(const PluginEvent& event) {
    if (capability_.empty()) return true;
    const bool says_manifest = event.action == "active" || event.action == "running" || event.action == "changed";
    if (says_manifest && wants(event.implements)) {
        having_.insert(event.plugin);
        return true;
    }
    if (event.action == "failed" || event.action == "restarting")
        return having_.contains(event.plugin);  // may come back
    const bool ends_it = says_manifest || event.action == "invalid" || event.action == "gone" ||
                         event.action == "stopping" || event.action == "stopped" || event.action == "removed";
    return ends_it && having_.erase(event.plugin) != 0;
}

}  // namespace brokerd
