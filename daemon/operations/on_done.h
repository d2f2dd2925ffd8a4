#pragma once

#include <functional>

#include "daemon/managed/plugin_record.h"

namespace brokerd {

/// Told of an operation that has succeeded, with the plugin as it is then (a removed one: as it was), before another
/// one can change that plugin: whoever is told of several hears of them in the order in which they happened. May be
/// empty. Thread: the store's or the operation's. Must not wait.
using OnDone = std::function<void(const PluginRecord&)>;

inline void tell(const OnDone& done, const PluginRecord& plugin) {
    if (done) done(plugin);
}

}  // namespace brokerd
