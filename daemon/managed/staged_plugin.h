#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/os/unique_fd.h"
#include "common/result.h"

namespace brokerd {

/// Removes the tree `name` below the directory, whatever is in it, without following anything; nothing to remove is
/// success. Archives unpack into what it removes, so it takes hostile trees (daemon/archive/remove_tree.h).
using TreeRemover = std::function<Result<bool>(int parent, const std::string& name)>;

/// A directory below the store's tmp/ in which a plugin is being put together: <id>/rootfs, empty at first. The
/// destructor removes it with all that is in it, which takes a while for a large tree. PluginStore::stage() makes it;
/// then it may be moved to and destroyed on any one thread at a time.
class StagedPlugin {
public:
    StagedPlugin(StagedPlugin&& other) noexcept = default;
    StagedPlugin& operator=(StagedPlugin&& other) noexcept;
    StagedPlugin(const StagedPlugin&) = delete;
    StagedPlugin& operator=(const StagedPlugin&) = delete;
    ~StagedPlugin() { discard(); }

    /// Its ID: the one of the plugin, when it is installed.
    [[nodiscard]] const std::string& id() const noexcept { return id_; }
    /// Absolute paths.
    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    [[nodiscard]] std::string rootfs_path() const { return path_ + "/rootfs"; }
    /// The rootfs, opened; valid as long as this object.
    [[nodiscard]] int rootfs_fd() const noexcept { return rootfs_.get(); }

private:
    friend class PluginStore;

    StagedPlugin(std::shared_ptr<const UniqueFd> tmp, std::string path, std::string id, UniqueFd rootfs,
                 TreeRemover remover);

    /// Removes what is there. What cannot be removed now is removed when the store is opened the next time.
    void discard() noexcept;
    /// The directory has got another owner.
    void release() noexcept { tmp_.reset(); }

    std::shared_ptr<const UniqueFd> tmp_;  ///< null: nothing to remove
    std::string path_;
    std::string id_;
    UniqueFd rootfs_;
    TreeRemover remover_;
};

}  // namespace brokerd
