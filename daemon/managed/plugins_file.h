#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "daemon/managed/plugin_record.h"

namespace brokerd {

/// Ours: 1 000 plugins are about 3 MB.
inline constexpr std::size_t kMaxPluginsFileBytes = std::size_t{256} << 20;

/// One plugin as plugins.json has it.
struct PluginsFileEntry {
    PluginRecordPtr record;
    /// The entry's value as it stands in the file, without its key. Shared: a change of one plugin copies no other's.
    std::shared_ptr<const std::string> bytes;
    /// Name of the staged directory whose rootfs is still to be swapped in; empty: none. See PluginStore.
    std::string swap;
};

/// What the files beside a hand-made plugin say, for an entry that does not say it itself. A seam: the store reads the
/// plugin's directory, tests answer from memory.
class PluginDirectoryFiles {
public:
    virtual ~PluginDirectoryFiles() = default;
    /// The content of the file, or nothing where there is none or it cannot be read.
    [[nodiscard]] virtual std::optional<std::string> read(const std::string& id, const std::string& file) = 0;
};

/// What was found in a plugins.json.
struct PluginsFileContent {
    std::map<std::string, PluginsFileEntry> entries;  ///< by ID
    /// Entries that could not be read, as they stand: key and value. They are written back.
    std::vector<std::pair<std::string, std::string>> kept;
    /// A sentence each: which entry was not read and why, what was read differently.
    std::vector<std::string> findings;
    /// Whether writing it again would change it: another spelling, defaults filled in.
    bool to_be_rewritten = false;
};

/// Reads a plugins.json, in all spellings that Docker ever had: `Manifest` and `Config` (1.12), `Config` and `Settings`
/// (1.13 and later), two members named `Config`, first config, then settings (as Docker's documentation printed it);
/// `Active` or `Enabled`; `Id` in any case; the name with its tag, or with a `Tag` beside it. What an entry leaves out
/// is read from the plugin's directory. An entry of whose `bytes` nothing changed since `previous` is taken from there
/// with its shared record. An error means that the file as a whole is not JSON.
[[nodiscard]] Result<PluginsFileContent, JsonError> read_plugins_file(
    std::string_view text, PluginDirectoryFiles& files, const std::map<std::string, PluginsFileEntry>& previous = {});

/// The bytes of one entry: `{"plugin": {…}, "brokerd": {…}}`. The first object is Docker's, for old readers; the config
/// stands there byte for byte as it came. The second is ours, with a version of its own, which every reader of Docker's
/// skips: a version beside the entries would be taken for a plugin by them.
[[nodiscard]] std::string entry_bytes(const PluginRecord& record, std::string_view swap = {});

/// Reads what entry_bytes wrote, as it is kept in each plugin's directory, to rebuild a lost plugins.json.
[[nodiscard]] Result<PluginsFileEntry> read_entry(const std::string& id, std::string_view bytes,
                                                  PluginDirectoryFiles& files);

/// The whole file; each part is copied, not made again.
[[nodiscard]] std::string plugins_file_bytes(const std::map<std::string, PluginsFileEntry>& entries,
                                             const std::vector<std::pair<std::string, std::string>>& kept);

}  // namespace brokerd
