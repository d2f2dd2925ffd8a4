#pragma once

#include <sys/stat.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "common/os/unique_fd.h"
#include "common/plugin_name.h"
#include "daemon/loop/activated_descriptors.h"

namespace brokerd {

/// Published sockets that outlive the process: their listening descriptors lie in systemd's descriptor store
/// (sd_pid_notify_with_fds(3), FDSTORE=1), which hands them to the next brokerd, so that connections that engines make
/// meanwhile wait in the backlog. Without systemd nothing is kept, and nothing else changes.
/// Thread: the core loop's.
class KeptSockets {
public:
    /// Keeps nothing.
    KeptSockets() = default;
    /// Takes what an earlier brokerd has kept out of `activated`. What bears the name of a kept socket and is none is
    /// removed from the store.
    explicit KeptSockets(ActivatedDescriptors& activated);

    /// The files of the sockets that were given back and listen at DIRECTORY/NAME.sock: ours under whatever name they
    /// still have, perhaps no more that one. No other file has their numbers while the sockets live.
    [[nodiscard]] std::set<std::pair<dev_t, ino_t>> files(const std::string& directory) const;
    /// The socket of `name` that was given back, if it still is what can be reached at `path`: it listens there, and
    /// the file is the one that it was bound to. Otherwise it is closed and removed from the store; empty then, and
    /// where there is none.
    [[nodiscard]] UniqueFd take(const PluginName& name, const std::string& path);
    /// Hands `listener`, whose file has this status, to the store, in place of what was kept for `name`.
    void keep(const PluginName& name, int listener, const struct stat& file);
    /// Removes the socket of `name` from the store.
    void forget(const PluginName& name);
    /// Removes and closes all that was given back and not taken.
    void forget_untaken();

    /// The name in the store: it tells the plugin, and the file that the socket was bound to (which, as long as the
    /// socket lives, no other file's number can be). Nothing where that is longer than systemd allows.
    [[nodiscard]] static std::optional<std::string> store_name(const PluginName& name, const struct stat& file);

private:
    struct Kept {
        UniqueFd socket;
        std::string store_name;
        dev_t device = 0;
        ino_t inode = 0;
    };
    [[nodiscard]] static std::optional<std::pair<std::string, Kept>> parse(std::string_view store_name);

    std::multimap<std::string, Kept> untaken_;   ///< by plugin name; given back at this start
    std::map<std::string, std::string> stored_;  ///< plugin name → name in the store
};

}  // namespace brokerd
