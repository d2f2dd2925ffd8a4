#include "daemon/discovery/plugin_definition.h"

#include <algorithm>

namespace brokerd {

bool operator==(const PluginDefinition& a, const PluginDefinition& b) {
    const auto same_shadow = [](const PluginView::Shadow& x, const PluginView::Shadow& y) {
        return x.file == y.file && x.reason == y.reason;
    };
    return a.name == b.name && a.file == b.file && a.source == b.source && a.endpoint == b.endpoint &&
           a.problem == b.problem && a.reason == b.reason && a.remedy == b.remedy && a.warnings == b.warnings &&
           std::equal(a.shadows.begin(), a.shadows.end(), b.shadows.begin(), b.shadows.end(), same_shadow);
}

}  // namespace brokerd
