#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/digest.h"
#include "common/os/unique_fd.h"
#include "common/result.h"
#include "daemon/managed/plugin_record.h"
#include "daemon/managed/plugins_file.h"
#include "daemon/managed/staged_plugin.h"
#include "daemon/managed/state_directory.h"

namespace brokerd {

/// Why a plugin was not found, in Docker's words.
struct FindError {
    enum class Kind { not_found, ambiguous };
    Kind kind;
    std::string message;
};

/// Why a change was refused; nothing has changed then, in memory or on disk.
struct StoreError {
    enum class Kind {
        not_found,       ///< there is no plugin of this ID
        already_exists,  ///< name or ID are taken
        conflict,        ///< the record was made from one that is not the present one any more
        invalid,         ///< the record itself is at fault
        system,          ///< the disk: full, read-only, broken
        undecided,       ///< the same, and what was refused may be on it all the same: the next start tells
    };
    Kind kind;
    std::string message;
};

/// The installed plugins, as STATE/plugins has them:
///
///     plugins.json                      the inventory, and the truth
///     ID/config.json                    the plugin's own config, byte for byte
///     ID/plugin-settings.json           what the operator set
///     ID/brokerd.json                   its entry of plugins.json, to rebuild that from; marks the directory as ours
///     ID/rootfs/  ID/propagated-mount/  the second is made by whoever runs the plugin, and outlives upgrades
///     tmp/ID/                           what is being put together or taken apart
///
/// Each change is committed by one rename of plugins.json; what it needs before lies in tmp/ until then, what it leaves
/// is moved to tmp/ afterwards, and open() finishes or undoes what a crash interrupted. The three files in a plugin's
/// directory are copies: plugins.json wins and repairs them. Changes made to plugins.json by hand are taken over before
/// the next change of ours, so that no edit is overwritten unread.
///
/// Thread: one, any; every call is synchronous and waits for the disk. Records are handed out as immutable values.
class PluginStore {
public:
    struct Opened;

    /// Opens STATE/plugins, which is made if necessary and private (0700) from now on, and recovers. What is odd is a
    /// finding; an error is only what keeps everything from working. A read-only file system is a finding.
    /// A change that would make plugins.json longer than `max_inventory` is refused; tests make it smaller.
    [[nodiscard]] static Result<Opened> open(const std::string& state_root, TreeRemover remover,
                                             std::size_t max_inventory = kMaxPluginsFileBytes);

    PluginStore(PluginStore&&) noexcept;
    PluginStore& operator=(PluginStore&&) noexcept;
    ~PluginStore();

    /// All plugins, by name.
    [[nodiscard]] std::vector<PluginRecordPtr> records() const;
    /// By full ID, name (long or familiar; without a tag, "latest"), or a unique beginning of an ID: as Docker does.
    [[nodiscard]] Result<PluginRecordPtr, FindError> find(std::string_view text) const;
    [[nodiscard]] PluginRecordPtr find_id(const std::string& id) const;
    /// The plugin of this familiar name with tag, or null.
    [[nodiscard]] PluginRecordPtr find_name(std::string_view name) const;

    /// Every blob that an installed plugin was made from, those of unreadable entries included.
    [[nodiscard]] std::set<Digest> used_blobs() const;

    /// The directory of a plugin and what is in it; whether they exist is another matter.
    [[nodiscard]] std::string directory_of(const std::string& id) const;
    [[nodiscard]] std::string rootfs_of(const std::string& id) const { return directory_of(id) + "/rootfs"; }
    [[nodiscard]] std::string propagated_mount_of(const std::string& id) const {
        return directory_of(id) + "/propagated-mount";
    }

    /// An empty directory to put a plugin together in, with a new ID.
    [[nodiscard]] Result<StagedPlugin, StoreError> stage();

    /// Adds a plugin: `record.id` becomes the staged one's. The caller has synced the rootfs (syncfs).
    /// After a failure `staged` is as it was: deleting it, which is slow, is left to the caller.
    [[nodiscard]] Result<PluginRecordPtr, StoreError> install(StagedPlugin&& staged, PluginRecord record);

    /// Stores a changed record: settings, enabled, timeout, granted, name. It is a copy of the present one, which its
    /// revision tells: what somebody else changed in between is not undone unseen.
    [[nodiscard]] Result<PluginRecordPtr, StoreError> update(PluginRecord record);

    /// An upgrade, and the way back.
    struct Upgraded {
        PluginRecordPtr record;
        PluginRecordPtr previous_record;  ///< with the new one's revision, so that it can be stored
        /// Holds the old rootfs. Destroying it makes the upgrade final (slow; may be done on any thread), and
        /// `upgrade(previous, *previous_record)` undoes it.
        StagedPlugin previous;
    };
    /// Gives the plugin of `record.id` this record and the staged rootfs. Its propagated mount stays. The caller has
    /// synced the rootfs and stopped the plugin. What is left of `staged` is deleted by the caller, as in install().
    [[nodiscard]] Result<Upgraded, StoreError> upgrade(StagedPlugin&& staged, PluginRecord record);

    /// Removes the plugin from the inventory and sets its directory aside. Destroying the answer deletes it (slow; may
    /// be done on any thread). It is empty where there was no directory, or where it could not be moved (busy): then
    /// open() deletes it.
    [[nodiscard]] Result<std::optional<StagedPlugin>, StoreError> remove(const std::string& id);

    /// Reads plugins.json again, for changes by hand. Unchanged entries keep their record. A file that is no JSON is
    /// kept aside, and what was known stays. Findings: what is odd. The error: the file cannot be read.
    [[nodiscard]] Result<std::vector<std::string>, StoreError> reload();

    /// Findings of reloads that changes made by themselves, since the last call.
    [[nodiscard]] std::vector<std::string> take_findings();

private:
    using Entries = std::map<std::string, PluginsFileEntry>;
    class Recovery;

    PluginStore(StateDirectory plugins, std::shared_ptr<const UniqueFd> tmp, TreeRemover remover);

    [[nodiscard]] std::string staged_path(const std::string& id) const;
    [[nodiscard]] Result<bool, StoreError> absorb_changes_by_hand();
    [[nodiscard]] Result<bool, StoreError> commit(Entries entries);
    /// Writes the inventory again as it was before a commit that failed.
    [[nodiscard]] bool put_back();
    [[nodiscard]] Result<bool, StoreError> check_names(const PluginRecord& record) const;
    [[nodiscard]] Result<bool, StoreError> check_current(const PluginRecord& record) const;
    [[nodiscard]] Result<StagedPlugin, StoreError> make_staged(std::string id, bool with_rootfs);
    [[nodiscard]] Result<bool> swap_rootfs(const std::string& id, const std::string& staged_id,
                                           const std::string& previous_id);
    void refresh_copies(const PluginsFileEntry& entry);
    void index();

    StateDirectory plugins_;
    std::shared_ptr<const UniqueFd> tmp_;
    TreeRemover remover_;
    std::size_t max_inventory_ = kMaxPluginsFileBytes;
    Entries entries_;
    std::vector<std::pair<std::string, std::string>> kept_;  ///< unreadable entries
    std::map<std::string, std::string, std::less<>> ids_by_name_;
    std::optional<FileIdentity> inventory_;  ///< plugins.json as we know it
    std::vector<std::string> findings_;
    bool opening_ = true;  ///< nobody holds a staged plugin yet
};

/// A store, and what open() found to be odd: a sentence each, for the log and `doctor`.
struct PluginStore::Opened {
    PluginStore store;
    std::vector<std::string> findings;
};

}  // namespace brokerd
