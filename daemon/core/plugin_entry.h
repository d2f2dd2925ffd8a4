#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/plugin_name.h"
#include "common/plugin_view.h"
#include "daemon/activation/activation.h"
#include "daemon/core/endpoint_transport.h"
#include "daemon/core/health_probe.h"
#include "daemon/core/publication.h"
#include "daemon/discovery/plugin_definition.h"
#include "daemon/loop/path_watch.h"
#include "daemon/proxy/route.h"

namespace brokerd {

/// All that brokerd knows of one plugin. Owned by PluginTable. Thread: the core loop's.
struct PluginEntry {
    std::uint64_t id = 0;  ///< of its route; never used again for another plugin
    PluginDefinition definition;
    std::vector<PluginName> names;  ///< that it is offered under; none where the definition's name is bad

    std::string managed_id;                    ///< of a managed plugin: its ID; empty for others
    std::vector<std::string> declared;         ///< of a managed plugin: the capabilities that its config declares
    std::shared_ptr<const PathRewrite> paths;  ///< of a managed plugin
    std::chrono::milliseconds window{};        ///< of a managed plugin: for its first answer

    // Of a valid definition:
    std::unique_ptr<EndpointTransport> transport;
    std::unique_ptr<Activation> activation;               ///< uses transport
    std::unique_ptr<EndpointTransport> health_transport;  ///< of a managed plugin
    std::unique_ptr<HealthProbe> health;                  ///< of a managed plugin; uses health_transport
    std::unique_ptr<PathWatch::Watch> socket_watch;       ///< tells activation
    std::optional<std::pair<dev_t, ino_t>> socket_inode;  ///< the endpoint's, when last seen
    std::unique_ptr<Publication> publication;             ///< never null
    std::shared_ptr<const Route> route;

    std::string state;  ///< as PluginView has it
    std::chrono::system_clock::time_point since{};
    std::map<std::string, unsigned> lacking;  ///< capabilities asked for in vain, and how often

    [[nodiscard]] bool is_valid() const noexcept { return activation != nullptr; }
    [[nodiscard]] bool is_managed() const noexcept { return !managed_id.empty(); }
};

/// The state's name for people and for the API.
[[nodiscard]] std::string state_name(const PluginEntry& entry);

[[nodiscard]] PluginView make_view(const PluginEntry& entry, const Scheduler& clock);

/// What keeps `entry` from working, or will soon, with the remedy.
[[nodiscard]] std::vector<Finding> diagnose(const PluginEntry& entry, const Scheduler& clock);

}  // namespace brokerd
