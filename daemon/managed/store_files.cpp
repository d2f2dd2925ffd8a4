#include "daemon/managed/store_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "common/os/disk_error.h"

namespace brokerd {
namespace {

std::string settings_bytes(const PluginSettings& settings) {
    rapidjson::StringBuffer buffer;
    JsonWriter writer{buffer};
    settings.write_docker_json(writer);
    return std::string{buffer.GetString(), buffer.GetSize()} + "\n";
}

UniqueFd open_directory(int parent, const std::string& name) {
    return UniqueFd{::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)};
}

bool has_size(int directory, const char* name, std::size_t size) {
    struct stat status {};
    return ::fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode) &&
           static_cast<std::size_t>(status.st_size) == size;
}

}  // namespace

Result<bool> mark_unsettled(int parent, const std::string& name, const std::string& shown_path) {
    const UniqueFd directory{::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)};
    if (!directory) return fail(disk_error("open the directory", shown_path, errno));
    const UniqueFd mark{::openat(directory.get(), kUnsettled, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)};
    if (!mark) return fail(disk_error("make a file in", shown_path, errno));
    return sync_directory(directory.get(), shown_path);
}

void clear_unsettled(int parent, const std::string& name) noexcept {
    ::unlinkat(parent, (name + "/" + kUnsettled).c_str(), 0);
}

std::vector<std::string> directory_names(int directory) {
    std::vector<std::string> names;
    const int fd = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return names;
    const std::unique_ptr<DIR, int (*)(DIR*)> stream{::fdopendir(fd), ::closedir};
    if (stream == nullptr) {
        ::close(fd);
        return names;
    }
    while (const dirent* entry = ::readdir(stream.get())) {  // NOLINT(concurrency-mt-unsafe): a stream of our own
        const std::string name = entry->d_name;
        if (name != "." && name != "..") names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    return names;
}

Result<bool> write_copies(int parent, const std::string& path, const PluginsFileEntry& entry, Durability how) {
    const UniqueFd directory = open_directory(parent, path.substr(path.rfind('/') + 1));
    if (!directory) return fail(disk_error("open the directory", path, errno));
    const std::string settings = settings_bytes(entry.record->settings);
    for (const auto& [name, bytes] :
         {std::pair<const char*, std::string_view>{kConfigCopy, *entry.record->config_bytes},
          std::pair<const char*, std::string_view>{kSettingsCopy, settings},
          std::pair<const char*, std::string_view>{kEntryCopy, *entry.bytes}}) {
        const auto written = replace_file_at(directory.get(), name, bytes, how, path);
        if (!written) return written;
    }
    if (how == Durability::visible) return true;
    return sync_directory(directory.get(), path);
}

bool copies_are_current(int plugins, const PluginsFileEntry& entry) {
    const UniqueFd directory = open_directory(plugins, entry.record->id);
    if (!directory) return false;
    const auto own = read_file_at(directory.get(), kEntryCopy, entry.bytes->size(), {});
    return own && *own && **own == *entry.bytes &&
           has_size(directory.get(), kConfigCopy, entry.record->config_bytes->size()) &&
           has_size(directory.get(), kSettingsCopy, settings_bytes(entry.record->settings).size());
}

void remove_unfinished_copies(int plugins, const std::string& id) noexcept {
    const UniqueFd directory = open_directory(plugins, id);
    if (!directory) return;
    for (const char* name : {kConfigCopy, kSettingsCopy, kEntryCopy}) remove_unfinished_file_at(directory.get(), name);
}

void remove_unfinished_inventory(int plugins) noexcept {
    remove_unfinished_file_at(plugins, kInventory);
}

bool exists_at(int directory, const std::string& name) {
    struct stat status {};
    return ::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
}

bool is_directory_at(int directory, const std::string& name) {
    struct stat status {};
    return ::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode);
}

std::optional<std::string> StoreDirectoryFiles::read(const std::string& id, const std::string& file) {
    if (!is_plugin_id(id)) return std::nullopt;
    const UniqueFd directory = open_directory(plugins_.fd(), id);
    if (!directory) return std::nullopt;
    auto content = read_file_at(directory.get(), file, kMaxConfigBytes, {});
    return content ? std::move(*content) : std::nullopt;
}

}  // namespace brokerd
