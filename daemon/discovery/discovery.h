#pragma once

#include <sys/stat.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/discovery/plugin_definition.h"
#include "daemon/loop/core_loop.h"

namespace brokerd {

struct DiscoverySettings {
    std::string engine_socket_directory;  ///< /run/docker/plugins: sockets are looked up here
    std::vector<std::string>
        spec_directories;             ///< /etc/docker/plugins, /usr/lib/docker/plugins: .spec and .json, in order
    bool allow_unsafe_files = false;  ///< skip the owner and mode checks (tests)

    friend bool operator==(const DiscoverySettings&, const DiscoverySettings&) = default;
};

/// Finds legacy plugins by Docker's rule (Docker Plugin API, "Plugin discovery") and keeps that knowledge true with
/// inotify: whatever happens to the directories, the definitions told are those that a fresh scan would find. This
/// includes directories that do not exist yet and the targets of symbolic links. A new file is told once it is closed.
/// What inotify cannot see is a file system that is mounted over a directory, and changes made by other hosts on a
/// network file system: rescan() finds those.
/// Thread: the core loop's. The loop outlives it.
class Discovery {
public:
    /// Called with the new definition, or nothing where the name is no longer defined. Called only for what changed.
    using Changed = std::function<void(const std::string& name, const std::optional<PluginDefinition>& definition)>;
    /// Whether the socket with this status is one that brokerd itself has published (and so is no plugin).
    using IsOwnSocket = std::function<bool(const struct stat& status)>;

    Discovery(CoreLoop& loop, const DiscoverySettings& settings, IsOwnSocket is_own_socket, Changed changed);
    ~Discovery();
    Discovery(const Discovery&) = delete;
    Discovery& operator=(const Discovery&) = delete;

    /// The first scan: tells every definition through Changed before it returns, then watches.
    void start();
    /// Other directories or checks from now on, which are read at once; tells what differs. The engine's socket
    /// directory must be the same.
    void configure(const DiscoverySettings& settings);
    /// Reads everything again, for SIGHUP and after an inotify overflow; tells what differs.
    void rescan();

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace brokerd
