#pragma once

#include <string>
#include <vector>

#include "common/result.h"
#include "daemon/managed/plugins_file.h"
#include "daemon/managed/state_directory.h"

/// Names and files below STATE/plugins, for PluginStore and the import of an engine's directory.
namespace brokerd {

inline constexpr const char* kInventory = "plugins.json";
inline constexpr const char* kTmp = "tmp";
/// In each plugin's directory.
inline constexpr const char* kConfigCopy = "config.json";
inline constexpr const char* kSettingsCopy = "plugin-settings.json";
inline constexpr const char* kEntryCopy = "brokerd.json";
/// In a plugin's directory while it is being installed or removed: says that the directory goes if no entry names it.
inline constexpr const char* kUnsettled = "unsettled";

/// Writes the three copies into the directory `path` (its last part is looked up in `parent`); durable: and syncs it.
[[nodiscard]] Result<bool> write_copies(int parent, const std::string& path, const PluginsFileEntry& entry,
                                        Durability how);

/// Whether the copies are there and look like the entry: the third is compared, of the others the size.
[[nodiscard]] bool copies_are_current(int plugins, const PluginsFileEntry& entry);

/// Removes the unfinished files that a crash left beside the copies, and beside the inventory. What cannot be removed
/// is overwritten by the next change.
void remove_unfinished_copies(int plugins, const std::string& id) noexcept;
void remove_unfinished_inventory(int plugins) noexcept;

/// Makes and removes kUnsettled in the directory `name` of `parent`. Making it is durable.
[[nodiscard]] Result<bool> mark_unsettled(int parent, const std::string& name, const std::string& shown_path);
void clear_unsettled(int parent, const std::string& name) noexcept;

/// What is in the directory, in order; nothing where it cannot be read.
[[nodiscard]] std::vector<std::string> directory_names(int directory);

/// A file or directory of this name exists, not followed.
[[nodiscard]] bool exists_at(int directory, const std::string& name);
[[nodiscard]] bool is_directory_at(int directory, const std::string& name);

/// The plugins' directories as the inventory's reader wants them.
class StoreDirectoryFiles : public PluginDirectoryFiles {
public:
    explicit StoreDirectoryFiles(const StateDirectory& plugins) : plugins_{plugins} {}
    [[nodiscard]] std::optional<std::string> read(const std::string& id, const std::string& file) override;

private:
    const StateDirectory& plugins_;
};

}  // namespace brokerd
