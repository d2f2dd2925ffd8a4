#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/plugin_name.h"
#include "daemon/loop/path_watch.h"
#include "daemon/loop/scheduler.h"
#include "daemon/proxy/proxy.h"
#include "daemon/proxy/published_sockets.h"

namespace brokerd {

/// The published sockets of one plugin, one for each of its names, and the engine's links to them, which are made again
/// where somebody removes them. Thread: the core loop's. Everything it is given outlives it; close() comes before the
/// destructor.
class Publication {
public:
    Publication(Scheduler& scheduler, PublishedSockets& sockets, Proxy& proxy, PathWatch& paths) noexcept
        : scheduler_{scheduler}, sockets_{sockets}, proxy_{proxy}, paths_{paths} {}
    Publication(const Publication&) = delete;
    Publication& operator=(const Publication&) = delete;

    /// Binds a socket for each name that has none yet and serves it by `route`. What goes wrong is problem().
    void open(const std::vector<PluginName>& names, bool for_engines, const std::shared_ptr<const Route>& route);
    /// Makes the engine's names again that are missing.
    void restore();
    /// Removes all sockets; calls under way on the route `id` are finished.
    void close(std::uint64_t id);

    /// Whether there is a socket for each of these.
    [[nodiscard]] bool has_all(const std::vector<PluginName>& names) const;
    /// Whether at least one socket is there.
    [[nodiscard]] bool is_open() const noexcept { return !names_.empty(); }
    [[nodiscard]] bool for_engines() const noexcept { return for_engines_; }
    [[nodiscard]] std::vector<std::string> paths() const;
    /// Why some socket is not there, or engines cannot see it; empty: all is well.
    [[nodiscard]] std::string problem() const;

private:
    struct Published {
        PluginName name;
        std::vector<std::string> paths;
        std::string warning;
        std::unique_ptr<PathWatch::Watch> link_watch;  ///< somebody may remove what engines see
        std::unique_ptr<Scheduler::Timer> link_timer;
    };

    [[nodiscard]] bool has(const PluginName& name) const;
    void open(const PluginName& name, const std::shared_ptr<const Route>& route);
    void watch_link(Published& published);
    void restore(Published& published);

    Scheduler& scheduler_;
    PublishedSockets& sockets_;
    Proxy& proxy_;
    PathWatch& paths_;
    bool for_engines_ = false;
    std::list<Published> names_;  ///< a list: timers and watches point into it
    std::string problem_;
    std::set<std::string> told_problems_;  ///< since all was well; trying again is not told again
};

}  // namespace brokerd
