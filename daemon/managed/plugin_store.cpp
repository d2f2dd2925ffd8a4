// Each change is built so that one rename, of plugins.json, is the moment at which it happens:
//
//   install   tmp/ID is completed and synced, renamed to ID; COMMIT. Undone by a crash before it: ID is not listed.
//   update    COMMIT; then the copies in the directory, which open() repairs.
//   upgrade   COMMIT of the new record with a note of the staged directory; ID/rootfs to tmp/, tmp/STAGED/rootfs to
//             ID/rootfs; then the note is taken out. Where the note is found later, tmp/STAGED/rootfs tells whether the
//             renames happened: while it exists, they did not.
//   remove    COMMIT; ID to tmp/. A directory that is not listed and has our brokerd.json is finished off by open().
#include "daemon/managed/plugin_store.h"

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
#include "daemon/managed/store_files.h"

namespace brokerd {
namespace {

using Kind = StoreError::Kind;

Failure<StoreError> refuse(Kind kind, std::string message) {
    return fail(StoreError{kind, std::move(message)});
}

Failure<StoreError> broken_disk(const Error& error) {
    return refuse(Kind::system, error.message);
}

Failure<StoreError> undecided(const Error& error) {
    return refuse(Kind::undecided, error.message +
                                       "; that could not be undone either: whether it is done is seen at "
                                       "brokerd's next start");
}

std::chrono::sys_seconds now() {
    return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

PluginsFileEntry make_entry(PluginRecord record, std::string_view swap = {}) {
    PluginsFileEntry entry;
    entry.bytes = std::make_shared<const std::string>(entry_bytes(record, swap));
    entry.swap = swap;
    entry.record = std::make_shared<const PluginRecord>(std::move(record));
    return entry;
}

}  // namespace

PluginStore::PluginStore(StateDirectory plugins, std::shared_ptr<const UniqueFd> tmp, TreeRemover remover)
    : plugins_{std::move(plugins)}, tmp_{std::move(tmp)}, remover_{std::move(remover)} {}

PluginStore::PluginStore(PluginStore&&) noexcept = default;
PluginStore& PluginStore::operator=(PluginStore&&) noexcept = default;
PluginStore::~PluginStore() = default;

std::string PluginStore::directory_of(const std::string& id) const {
    return plugins_.path() + "/" + id;
}

std::string PluginStore::staged_path(const std::string& id) const {
    return fmt::format("{}/{}/{}", plugins_.path(), kTmp, id);
}

void PluginStore::index() {
    ids_by_name_.clear();
    for (const auto& [id, entry] : entries_) ids_by_name_.emplace(entry.record->name, id);
}

Result<bool, StoreError> PluginStore::commit(Entries entries) {
    const std::string bytes = plugins_file_bytes(entries, kept_);
    if (bytes.size() > max_inventory_) {  // no start could read it again
        return refuse(Kind::system, fmt::format("{}/{} would have {} bytes, and {} are the limit: remove plugins that "
                                                "are not needed",
                                                plugins_.path(), kInventory, bytes.size(), max_inventory_));
    }
    const auto replaced = plugins_.replace(kInventory, bytes, Durability::durable);
    const auto identity = plugins_.identity(kInventory);
    if (!replaced) {
        // The new file may be in place, only not surely on the disk: the old one goes back, as well as it can be done.
        if (identity == inventory_ || !inventory_ || put_back()) return broken_disk(replaced.error());
        return undecided(replaced.error());
    }
    inventory_ = identity;
    entries_ = std::move(entries);
    index();
    return true;
}

bool PluginStore::put_back() {
    const std::string old = plugins_file_bytes(entries_, kept_);
    // Where nothing can be synced, at least what a restart reads is what has been told.
    const bool done = plugins_.replace(kInventory, old, Durability::durable) ||
                      plugins_.replace(kInventory, old, Durability::visible);
    if (!done) findings_.push_back(fmt::format("{}/{} could not be put back", plugins_.path(), kInventory));
    inventory_ = plugins_.identity(kInventory);
    return done;
}

Result<bool, StoreError> PluginStore::absorb_changes_by_hand() {
    if (plugins_.identity(kInventory) == inventory_) return true;
    auto findings = reload();
    if (!findings) return fail(findings.error());
    findings_.insert(findings_.end(), findings->begin(), findings->end());
    return true;
}

std::vector<std::string> PluginStore::take_findings() {
    return std::exchange(findings_, {});
}

Result<bool, StoreError> PluginStore::check_names(const PluginRecord& record) const {
    const auto reference = ImageReference::parse(record.name);
    if (!reference || !reference->tag() || reference->digest() || reference->familiar() != record.name) {
        return refuse(Kind::invalid, fmt::format("\"{}\" is not a plugin's name with a tag", escaped(record.name)));
    }
    const auto there = ids_by_name_.find(record.name);
    if (there != ids_by_name_.end() && there->second != record.id) {
        return refuse(Kind::already_exists, fmt::format("plugin {} already exists", record.name));
    }
    return true;
}

Result<StagedPlugin, StoreError> PluginStore::make_staged(std::string id, bool with_rootfs) {
    std::string path = staged_path(id);
    if (::mkdirat(tmp_->get(), id.c_str(), 0700) != 0) {
        return broken_disk(Error{disk_error("make the directory", path, errno)});
    }
    StagedPlugin staged{tmp_, path, std::move(id), UniqueFd{}, remover_};
    if (!with_rootfs) return staged;
    // 0755 although Docker has 0700: a plugin that runs as another user than root must be able to enter its own "/".
    // Nobody else gets there, because the directories above are 0700.
    if (::mkdir(staged.rootfs_path().c_str(), 0755) != 0 || ::chmod(staged.rootfs_path().c_str(), 0755) != 0) {
        return broken_disk(Error{disk_error("make the directory", staged.rootfs_path(), errno)});
    }
    staged.rootfs_ = UniqueFd{::open(staged.rootfs_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!staged.rootfs_) return broken_disk(Error{disk_error("open the directory", staged.rootfs_path(), errno)});
    return staged;
}

Result<StagedPlugin, StoreError> PluginStore::stage() {
    return make_staged(new_plugin_id(), true);
}

Result<PluginRecordPtr, StoreError> PluginStore::install(StagedPlugin&& staged, PluginRecord record) {
    const auto absorbed = absorb_changes_by_hand();
    if (!absorbed) return fail(absorbed.error());
    record.id = staged.id();
    const auto named = check_names(record);
    if (!named) return fail(named.error());
    record.revision = 1;
    record.created = record.updated = now();
    PluginsFileEntry entry = make_entry(std::move(record));
    const std::string id = staged.id();

    const auto marked = mark_unsettled(tmp_->get(), id, staged.path());
    if (!marked) return broken_disk(marked.error());
    const auto copied = write_copies(tmp_->get(), staged.path(), entry, Durability::durable);
    if (!copied) return broken_disk(copied.error());
    if (::renameat2(tmp_->get(), id.c_str(), plugins_.fd(), id.c_str(), RENAME_NOREPLACE) != 0) {
        return broken_disk(Error{disk_error("rename to its place", staged.path(), errno)});
    }
    Entries entries = entries_;
    PluginRecordPtr installed = entry.record;
    entries.emplace(id, std::move(entry));
    const auto committed = commit(std::move(entries));
    if (!committed) {
        const bool kept = committed.error().kind == Kind::undecided ||
                          ::renameat(plugins_.fd(), id.c_str(), tmp_->get(), id.c_str()) != 0;
        if (kept) staged.release();
        return fail(committed.error());
    }
    staged.release();
    clear_unsettled(plugins_.fd(), id);
    return installed;
}

Result<bool, StoreError> PluginStore::check_current(const PluginRecord& record) const {
    const auto there = entries_.find(record.id);
    if (there == entries_.end()) {
        return refuse(Kind::not_found, fmt::format("plugin \"{}\" not found", escaped(record.name)));
    }
    if (there->second.record->revision != record.revision) {
        return refuse(Kind::conflict,
                      fmt::format("plugin {} was changed in the meantime; try again", escaped(record.name)));
    }
    return check_names(record);
}

Result<PluginRecordPtr, StoreError> PluginStore::update(PluginRecord record) {
    const auto absorbed = absorb_changes_by_hand();
    if (!absorbed) return fail(absorbed.error());
    const auto current = check_current(record);
    if (!current) return fail(current.error());
    ++record.revision;
    record.updated = now();
    Entries entries = entries_;
    const std::string id = record.id;
    entries[id] = make_entry(std::move(record));
    const auto committed = commit(std::move(entries));
    if (!committed) return fail(committed.error());
    refresh_copies(entries_.at(id));
    return entries_.at(id).record;
}

void PluginStore::refresh_copies(const PluginsFileEntry& entry) {
    const std::string& id = entry.record->id;
    const auto written = write_copies(plugins_.fd(), directory_of(id), entry, Durability::visible);
    if (!written) findings_.push_back(fmt::format("plugin {}: {}", entry.record->name, written.error().message));
}

Result<PluginStore::Upgraded, StoreError> PluginStore::upgrade(StagedPlugin&& staged, PluginRecord record) {
    const auto absorbed = absorb_changes_by_hand();
    if (!absorbed) return fail(absorbed.error());
    const auto current = check_current(record);
    if (!current) return fail(current.error());
    if (exists_at(plugins_.fd(), record.id) && !is_directory_at(plugins_.fd(), record.id)) {
        // What a symbolic link leads to is not ours to replace.
        return refuse(Kind::conflict, fmt::format("{} is no directory; remove it, or the plugin, and try again",
                                                  directory_of(record.id)));
    }
    auto previous = make_staged(new_plugin_id(), false);
    if (!previous) return fail(previous.error());
    ++record.revision;
    record.updated = now();
    record.broken.clear();
    const std::string id = record.id;
    const Entries before = entries_;
    Entries entries = entries_;
    entries[id] = make_entry(std::move(record), staged.id());
    const auto committed = commit(std::move(entries));
    if (!committed) {
        if (committed.error().kind == Kind::undecided) staged.release();
        return fail(committed.error());
    }

    const auto swapped = swap_rootfs(id, staged.id(), previous->id());
    if (!swapped) {
        const auto undone = commit(before);
        if (!undone) {
            findings_.push_back(fmt::format("plugin {}: its upgrade will be finished at the next start: {}",
                                            entries_.at(id).record->name, undone.error().message));
            staged.release();
            return undecided(swapped.error());
        }
        return broken_disk(swapped.error());
    }
    PluginRecord old = *before.at(id).record;
    old.revision = entries_.at(id).record->revision;
    Entries clean = entries_;
    clean[id] = make_entry(*entries_.at(id).record);
    const auto cleaned = commit(std::move(clean));
    if (!cleaned) findings_.push_back(cleaned.error().message);  // the note stays; open() finds nothing left to do
    refresh_copies(entries_.at(id));
    return Upgraded{entries_.at(id).record, std::make_shared<const PluginRecord>(std::move(old)), std::move(*previous)};
}

Result<bool> PluginStore::swap_rootfs(const std::string& id, const std::string& staged_id,
                                      const std::string& previous_id) {
    const std::string in_place = id + "/rootfs";
    const std::string fresh = staged_id + "/rootfs";
    const std::string old = previous_id + "/rootfs";
    const bool had_one = ::renameat(plugins_.fd(), in_place.c_str(), tmp_->get(), old.c_str()) == 0;
    if (!had_one && errno != ENOENT) return fail(disk_error("move aside", rootfs_of(id), errno));
    if (!had_one) ::mkdirat(plugins_.fd(), id.c_str(), 0700);  // of a plugin whose directory was lost
    if (::renameat(tmp_->get(), fresh.c_str(), plugins_.fd(), in_place.c_str()) != 0) {
        Error error{disk_error("put in place", rootfs_of(id), errno)};
        if (had_one) ::renameat(tmp_->get(), old.c_str(), plugins_.fd(), in_place.c_str());
        return fail(error);
    }
    for (const std::string& path : {directory_of(id), staged_path(staged_id), staged_path(previous_id)}) {
        const auto directory = StateDirectory::open_existing(path);
        const auto synced = directory ? directory->sync() : fail(directory.error());
        if (!synced) {
            ::renameat(plugins_.fd(), in_place.c_str(), tmp_->get(), fresh.c_str());
            if (had_one) ::renameat(tmp_->get(), old.c_str(), plugins_.fd(), in_place.c_str());
            return synced;
        }
    }
    return true;
}

Result<std::optional<StagedPlugin>, StoreError> PluginStore::remove(const std::string& id) {
    const auto absorbed = absorb_changes_by_hand();
    if (!absorbed) return fail(absorbed.error());
    const auto there = entries_.find(id);
    if (there == entries_.end()) return refuse(Kind::not_found, fmt::format("plugin \"{}\" not found", escaped(id)));
    // A crash from here on must find that the directory is to go.
    const auto marked = mark_unsettled(plugins_.fd(), id, directory_of(id));
    if (!marked && is_directory_at(plugins_.fd(), id)) return broken_disk(marked.error());
    Entries entries = entries_;
    entries.erase(id);
    const auto committed = commit(std::move(entries));
    if (!committed) {
        if (committed.error().kind != Kind::undecided) clear_unsettled(plugins_.fd(), id);
        return fail(committed.error());
    }
    if (::renameat2(plugins_.fd(), id.c_str(), tmp_->get(), id.c_str(), RENAME_NOREPLACE) != 0) {
        if (errno != ENOENT) {
            findings_.push_back(
                fmt::format("{}; it is removed at the next start", disk_error("move aside", directory_of(id), errno)));
        }
        return std::optional<StagedPlugin>{};
    }
    return std::optional<StagedPlugin>{StagedPlugin{tmp_, staged_path(id), id, UniqueFd{}, remover_}};
}

}  // namespace brokerd
