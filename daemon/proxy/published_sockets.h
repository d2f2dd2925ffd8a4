#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/os/unique_fd.h"
#include "common/plugin_name.h"
#include "common/result.h"
#include "daemon/proxy/kept_sockets.h"

namespace brokerd {

/// The sockets on which plugins are offered, as files: RUNTIME/plugins/NAME.sock, and a hard link of the same socket as
/// ENGINE_DIRECTORY/NAME.sock where engines look for it.
///
/// The link makes ownership provable at any time, also after a crash: a socket in the engine's directory is ours
/// exactly if it is the same inode as one below RUNTIME/plugins. Nothing else there is ever touched. Thread: the core
/// loop's.
class PublishedSockets {
public:
    /// Creates both directories where they are missing, and takes the runtime directory for this process alone. `group`
    /// may connect too (besides root). `kept`: what outlived the last brokerd, and outlives this one. Throws
    /// std::runtime_error where the directories cannot be made, or another brokerd has taken the runtime directory.
    PublishedSockets(std::string runtime_directory, std::string engine_directory, std::optional<gid_t> group,
                     KeptSockets kept = {});

    struct Published {
        UniqueFd listener;               ///< listening, non-blocking
        std::vector<std::string> paths;  ///< the broker's own first
        std::string warning;             ///< why engines cannot see it, where that was asked for and failed
    };
    /// Binds NAME.sock, replacing what an earlier process of ours left there, unless that socket was kept: then it goes
    /// on with it, and with the connections that wait in its backlog. `for_engines` links it into the engine's
    /// directory, unless a socket that is not ours is there.
    [[nodiscard]] Result<Published> publish(const PluginName& name, bool for_engines);
    /// Makes the engine's name of a published plugin again where somebody has removed it; leaves alone what else is
    /// there. True where it was made.
    bool restore(const PluginName& name);
    /// Removes both files and the directories made for them. The listener is the caller's to close.
    void withdraw(const PluginName& name);

    /// Where engines look for the plugin.
    [[nodiscard]] std::string engine_path(const PluginName& name) const {
        return engine_root_ + "/" + name.str() + ".sock";
    }

    /// Whether this is one of our sockets, or was of an earlier process of ours.
    [[nodiscard]] bool is_ours(const struct stat& status) const;

    /// After the first scan: removes what an earlier process left and nobody has published again, and closes such kept
    /// sockets.
    void remove_leftovers();

private:
    using Inode = std::pair<dev_t, ino_t>;

    void collect_leftovers();
    struct Bound {
        UniqueFd listener;
        std::string aside;                    ///< where the file of an earlier process has been moved to …
        std::optional<struct stat> replaced;  ///< … if there was one
    };
    [[nodiscard]] Result<Bound> bind_anew(const PluginName& name, const std::string& path);
    [[nodiscard]] UniqueFd go_on_with_kept(const PluginName& name, const std::string& path);
    void note_published(const PluginName& name, const struct stat& status);
    void discard(const std::string& aside, const struct stat& status, const std::string& engine_path);
    [[nodiscard]] std::string own_path(const PluginName& name) const { return own_root_ + "/" + name.str() + ".sock"; }
    [[nodiscard]] std::string link_for_engines(const PluginName& name, const std::string& from);
    /// False: it is ours and is still there.
    bool remove_if_ours(const std::string& path);
    void remove_empty_parents(const std::string& root, const std::string& path);

    std::string own_root_;
    std::string engine_root_;
    std::optional<gid_t> group_;
    KeptSockets kept_;
    UniqueFd lock_;
    std::map<std::string, Inode> published_;  ///< by plugin name
    std::set<Inode> published_inodes_;
    std::set<Inode> leftovers_;
};

}  // namespace brokerd
