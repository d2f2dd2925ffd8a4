// Opening the store: whatever a crash, a full disk or somebody's editor left behind becomes a state that some sequence
// of finished operations could have led to. Each step may itself be cut off and is then repeated by the next start:
// they only ever move things forward.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "common/os/disk_error.h"
#include "common/plugin_name.h"
#include "daemon/managed/plugin_store.h"
#include "daemon/managed/store_files.h"

namespace brokerd {
namespace {

std::string describe(const JsonError& error) {
    return fmt::format("line {}, column {}: {}", error.line, error.column, error.message);
}

}  // namespace

/// The steps of open(), and those that reload() shares with it.
class PluginStore::Recovery {
public:
    explicit Recovery(PluginStore& store) : store_{store}, files_{store.plugins_} {}

    Result<bool, StoreError> open() {
        remove_unfinished_inventory(store_.plugins_.fd());
        const auto read = read_inventory();
        if (!read) return read;
        if (!inventory_) rebuild();
        if (inventory_) clear_leftovers();
        settle();
        if (!inventory_) dirty_ = true;
        write_back();
        return true;
    }

    Result<bool, StoreError> reload() {
        const auto read = read_inventory();
        if (!read) return read;
        const Entries before =
            std::exchange(store_.entries_, inventory_ ? std::move(inventory_->entries) : store_.entries_);
        if (inventory_) {
            store_.kept_ = std::move(inventory_->kept);
            note_vanished(before);
        } else {
            dirty_ = true;
        }
        settle();
        write_back();
        return true;
    }

    std::vector<std::string> findings;

private:
    /// Leaves `inventory_` empty where there is no file, or none that can be used (then it is set aside).
    Result<bool, StoreError> read_inventory() {
        store_.inventory_ = store_.plugins_.identity(kInventory);
        auto text = store_.plugins_.read(kInventory, kMaxPluginsFileBytes);
        if (!text && !is_unusable()) return fail(StoreError{StoreError::Kind::system, text.error().message});
        if (!text) {
            set_aside(text.error().message);
            return true;
        }
        if (!*text) return true;
        auto content = read_plugins_file(**text, files_, store_.entries_);
        if (!content) {
            set_aside(describe(content.error()));
            return true;
        }
        findings.insert(findings.end(), content->findings.begin(), content->findings.end());
        dirty_ = content->to_be_rewritten;
        inventory_ = std::move(*content);
        return true;
    }

    /// Something is there, and no file of ours: a directory, a link, a giant. Other errors may go away by themselves.
    bool is_unusable() const {
        struct stat status {};
        if (::fstatat(store_.plugins_.fd(), kInventory, &status, AT_SYMLINK_NOFOLLOW) != 0) return false;
        return !S_ISREG(status.st_mode) || status.st_size > static_cast<off_t>(kMaxPluginsFileBytes);
    }

    void set_aside(std::string_view reason) {
        const auto seconds = std::chrono::system_clock::now().time_since_epoch() / std::chrono::seconds{1};
        for (int attempt = 0; attempt < 100; ++attempt) {
            const std::string name =
                fmt::format("{}.damaged-{}{}", kInventory, seconds, attempt == 0 ? "" : fmt::format("-{}", attempt));
            if (::renameat2(store_.plugins_.fd(), kInventory, store_.plugins_.fd(), name.c_str(), RENAME_NOREPLACE) ==
                0) {
                findings.push_back(
                    fmt::format("{}/{} is damaged ({}); it is kept as {}, and what is known is written "
                                "again",
                                store_.plugins_.path(), kInventory, reason, name));
                return;
            }
            if (errno != EEXIST) break;
        }
        findings.push_back(fmt::format("{}/{} is damaged ({}) and cannot be set aside: {}", store_.plugins_.path(),
                                       kInventory, reason, std::generic_category().message(errno)));
    }

    /// There is no inventory: what the plugins' directories say becomes it. Nothing is deleted.
    void rebuild() {
        for (const std::string& id : plugin_directories()) {
            const auto bytes = files_.read(id, kEntryCopy);
            if (!bytes) {
                report_foreign(id);
                continue;
            }
            auto entry = read_entry(id, *bytes, files_);
            const bool taken =
                entry && std::any_of(store_.entries_.begin(), store_.entries_.end(), [&](const auto& other) {
                    return other.second.record->name == entry->record->name;
                });
            if (!entry || taken) {
                findings.push_back(
                    fmt::format("{} is left alone: its {} {}", store_.directory_of(id), kEntryCopy,
                                entry ? "has the name of another plugin" : "is bad, " + entry.error().message));
                continue;
            }
            findings.push_back(
                fmt::format("plugin {} is listed again, from its directory {}", entry->record->name, id));
            store_.entries_.emplace(id, std::move(*entry));
        }
    }

    /// Directories that are not listed and go: what a crash left of an install or a removal. Others stay: an inventory
    /// from a backup, or an edit by hand, must not cost a plugin its data.
    void clear_leftovers() {
        store_.entries_ = std::move(inventory_->entries);
        store_.kept_ = std::move(inventory_->kept);
        for (const std::string& id : plugin_directories()) {
            const bool kept = std::any_of(store_.kept_.begin(), store_.kept_.end(),
                                          [&](const auto& entry) { return entry.first == id; });
            if (store_.entries_.contains(id) || kept) continue;
            if (!exists_at(store_.plugins_.fd(), id + "/" + kUnsettled)) {
                report_foreign(id);
            } else if (::renameat2(store_.plugins_.fd(), id.c_str(), store_.tmp_->get(), id.c_str(),
                                   RENAME_NOREPLACE) != 0) {
                findings.push_back(disk_error("move aside", store_.directory_of(id), errno));
            }
        }
    }

    std::vector<std::string> plugin_directories() const {
        std::vector<std::string> ids = directory_names(store_.plugins_.fd());
        std::erase_if(ids, [&](const std::string& name) {
            return !is_plugin_id(name) || !is_directory_at(store_.plugins_.fd(), name);
        });
        return ids;
    }

    void report_foreign(const std::string& id) {
        findings.push_back(fmt::format("{} belongs to no plugin in {}; list it there or remove it",
                                       store_.directory_of(id), kInventory));
    }

    void note_vanished(const Entries& before) {
        for (const auto& [id, entry] : before) {
            if (store_.entries_.contains(id)) continue;
            findings.push_back(fmt::format(
                "plugin {} was taken out of {} by hand; its directory {} stays: remove it when nobody wants "
                "it back",
                entry.record->name, kInventory, store_.directory_of(id)));
        }
    }

    /// Finishes upgrades, and looks at each plugin's directory.
    void settle() {
        for (auto& [id, entry] : store_.entries_) {
            if (!entry.swap.empty()) finish_upgrade(id, entry);
            if (opening()) remove_unfinished_copies(store_.plugins_.fd(), id);
            check_directory(id, entry);
        }
        if (opening()) empty_tmp();
        store_.index();
    }

    /// tmp/ belongs to staged plugins in use, except while the store is being opened.
    bool opening() const { return store_.opening_; }

    void finish_upgrade(const std::string& id, PluginsFileEntry& entry) {
        if (is_directory_at(store_.tmp_->get(), entry.swap + "/rootfs")) {
            const std::string aside = new_plugin_id();
            const bool moved =
                ::mkdirat(store_.tmp_->get(), aside.c_str(), 0700) == 0 && store_.swap_rootfs(id, entry.swap, aside);
            if (!moved) {
                findings.push_back(fmt::format("the upgrade of plugin {} cannot be finished now", entry.record->name));
                return;
            }
        }
        entry.swap.clear();
        entry.bytes = std::make_shared<const std::string>(entry_bytes(*entry.record));
        dirty_ = true;
    }

    void check_directory(const std::string& id, PluginsFileEntry& entry) {
        std::string broken;
        if (!is_directory_at(store_.plugins_.fd(), id)) {
            broken =
                fmt::format("its directory {} is missing; install it again or put it back", store_.directory_of(id));
        } else if (!is_directory_at(store_.plugins_.fd(), id + "/rootfs")) {
            broken = fmt::format("{} is missing; install it again or put it back", store_.rootfs_of(id));
        }
        if (!broken.empty()) findings.push_back(fmt::format("plugin {}: {}", entry.record->name, broken));
        if (broken != entry.record->broken) {
            PluginRecord record = *entry.record;
            record.broken = broken;
            entry.record = std::make_shared<const PluginRecord>(std::move(record));
        }
        clear_unsettled(store_.plugins_.fd(), id);
        if (is_directory_at(store_.plugins_.fd(), id) && !copies_are_current(store_.plugins_.fd(), entry)) {
            const auto written =
                write_copies(store_.plugins_.fd(), store_.directory_of(id), entry, Durability::visible);
            if (!written) findings.push_back(fmt::format("plugin {}: {}", entry.record->name, written.error().message));
        }
    }

    void empty_tmp() {
        for (const std::string& name : directory_names(store_.tmp_->get())) {
            const bool waiting = std::any_of(store_.entries_.begin(), store_.entries_.end(),
                                             [&](const auto& entry) { return entry.second.swap == name; });
            if (waiting) continue;
            const auto removed = store_.remover_(store_.tmp_->get(), name);
            if (!removed) findings.push_back(fmt::format("a leftover stays: {}", removed.error().message));
        }
    }

    void write_back() {
        if (!dirty_) return;
        const auto committed = store_.commit(store_.entries_);
        if (!committed) findings.push_back(committed.error().message);
    }

    PluginStore& store_;
    StoreDirectoryFiles files_;
    std::optional<PluginsFileContent> inventory_;
    bool dirty_ = false;
};

Result<PluginStore::Opened> PluginStore::open(const std::string& state_root, TreeRemover remover,
                                              std::size_t max_inventory) {
    const auto root = StateDirectory::open(state_root);
    if (!root) return fail(root.error());
    auto plugins = StateDirectory::open(state_root + "/plugins");
    if (!plugins) return fail(plugins.error());
    // Images bring setuid programs and device nodes. Whoever made the directory first, perhaps by hand for a plugin of
    // their own, opened it to everybody.
    if (::fchmod(plugins->fd(), 0700) != 0 && errno != EROFS) {
        return fail(disk_error("make private the directory", plugins->path(), errno));
    }
    const std::string tmp_path = fmt::format("{}/plugins/{}", state_root, kTmp);
    if (::mkdirat(plugins->fd(), kTmp, 0700) != 0 && errno != EEXIST && errno != EROFS) {
        return fail(disk_error("make the directory", tmp_path, errno));
    }
    UniqueFd tmp{::openat(plugins->fd(), kTmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)};
    if (!tmp) return fail(disk_error("open the directory", tmp_path, errno));
    PluginStore store{std::move(*plugins), std::make_shared<const UniqueFd>(std::move(tmp)), std::move(remover)};
    store.max_inventory_ = max_inventory;
    Recovery recovery{store};
    const auto opened = recovery.open();
    if (!opened) return fail(opened.error().message);
    store.opening_ = false;
    return Opened{std::move(store), std::move(recovery.findings)};
}

Result<std::vector<std::string>, StoreError> PluginStore::reload() {
    Recovery recovery{*this};
    const auto reloaded = recovery.reload();
    if (!reloaded) return fail(reloaded.error());
    return std::move(recovery.findings);
}

}  // namespace brokerd
