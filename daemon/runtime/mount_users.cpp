#include "daemon/runtime/mount_users.h"

#include <dirent.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string_view>

#include "common/os/process_facts.h"
#include "common/plugin_name.h"
#include "daemon/runtime/mount_table.h"

// A container's mount of a volume is not below our directory: an engine binds it to wherever the container wants it, in
// a mount namespace of the container's own. What the two mounts have in common is the file system, by its number, and
// which of its directories is mounted ("root" in mountinfo). For what a plugin mounts, the number alone would do. A
// plugin may as well hand out plain directories: these are on the host's file system, which everybody has mounted,
// and only the root tells that it is the plugin's directory.

namespace brokerd {
namespace {

constexpr std::size_t kMaxProcesses = 65'536;
constexpr std::size_t kMaxNamespaces = 4'096;

/// A part of a file system that belongs to the plugin.
struct Part {
    std::string device;
    std::string root;
    std::string host_path;  ///< where the host sees it
    bool exactly = false;   ///< this directory alone, not those below it
};

/// `directory` as mountinfo has it. Its own last part is not looked at: the plugin may have mounted something on it.
std::string canonical(const std::string& directory) {
    const std::size_t slash = directory.rfind('/');
    if (slash == std::string::npos || slash == 0) return directory;
    const std::unique_ptr<char, decltype(&std::free)> parent{::realpath(directory.substr(0, slash).c_str(), nullptr),
                                                             &std::free};
    return parent ? parent.get() + directory.substr(slash) : directory;
}

std::string joined(const std::string& root, std::string_view below) {
    return (root == "/" ? std::string{} : root) + std::string{below};
}

/// Whether the file system is mounted outside of `directory`, too: then it is a host's, which the plugin bound there.
bool is_elsewhere(const std::vector<MountEntry>& mounts, const MountEntry& of, const std::string& directory) {
    return std::any_of(mounts.begin(), mounts.end(), [&](const MountEntry& mount) {
        return mount.device == of.device && !is_at_or_below(mount.mount_point, directory);
    });
}

/// What is mounted at or below `directory`, and the directory itself on the file system that it lies on.
void add_parts(const std::vector<MountEntry>& mounts, const std::string& directory, std::vector<Part>& parts) {
    const MountEntry* around = nullptr;
    for (const MountEntry& mount : mounts) {
        if (is_at_or_below(mount.mount_point, directory)) {
            parts.push_back({mount.device, mount.root, mount.mount_point, is_elsewhere(mounts, mount, directory)});
        } else if ((mount.mount_point == "/" || is_at_or_below(directory, mount.mount_point)) &&
                   (around == nullptr || mount.mount_point.size() >= around->mount_point.size())) {
            around = &mount;
        }
    }
    if (around == nullptr) return;
    const std::string_view below =
        std::string_view{directory}.substr(around->mount_point == "/" ? 0 : around->mount_point.size());
    parts.push_back({around->device, joined(around->root, below), directory, false});
}

/// Whether `mount`, of another namespace, is a use of `part`, not just its place in a copy of the host's tree.
bool uses(const MountEntry& mount, const Part& part) {
    const bool within =
        part.exactly ? mount.root == part.root : part.root == "/" || is_at_or_below(mount.root, part.root);
    return mount.device == part.device && within && !mount.mount_point.ends_with(part.host_path);
}

/// The number of a process's mount namespace.
std::optional<std::string> namespace_of(pid_t pid) {
    std::array<char, 64> target{};
    const ssize_t length = ::readlink(fmt::format("/proc/{}/ns/mnt", pid).c_str(), target.data(), target.size());
    if (length <= 0) return std::nullopt;
    return std::string{target.data(), static_cast<std::size_t>(length)};
}

std::vector<pid_t> processes() {
    std::vector<pid_t> pids;
    const std::unique_ptr<DIR, int (*)(DIR*)> directory{::opendir("/proc"), &::closedir};
    if (!directory) return pids;
    while (pids.size() < kMaxProcesses) {
        const dirent* const entry = ::readdir(directory.get());
        if (entry == nullptr) break;
        const std::string_view name = entry->d_name;
        pid_t pid = 0;
        const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
        if (error == std::errc{} && end == name.data() + name.size()) pids.push_back(pid);
    }
    return pids;
}

struct Oldest {
    pid_t pid = 0;
    std::uint64_t start = std::numeric_limits<std::uint64_t>::max();
};

/// The oldest process of each mount namespace that is not in `known`.
std::map<std::string, Oldest> namespaces(const std::set<std::string>& known) {
    std::map<std::string, Oldest> found;
    for (const pid_t pid : processes()) {
        const auto space = namespace_of(pid);
        if (!space || known.contains(*space)) continue;
        if (found.size() >= kMaxNamespaces && !found.contains(*space)) continue;
        const std::uint64_t start = process_start(pid).value_or(std::numeric_limits<std::uint64_t>::max() - 1);
        Oldest& oldest = found[*space];
        if (start < oldest.start) oldest = {pid, start};
    }
    return found;
}

}  // namespace

std::vector<MountUser> users_of_mounts(const std::vector<std::string>& directories, const std::vector<pid_t>& own) {
    std::vector<MountUser> users;
    const auto mounts = read_mount_table();
    if (!mounts) return users;
    std::vector<Part> parts;
    for (const std::string& directory : directories) add_parts(*mounts, canonical(directory), parts);
    std::set<std::string> known;
    if (const auto ours = namespace_of(::getpid())) known.insert(*ours);
    for (const pid_t pid : own) {
        if (const auto theirs = namespace_of(pid)) known.insert(*theirs);
    }
    for (const auto& [space, oldest] : namespaces(known)) {
        const auto table = read_mount_table(fmt::format("/proc/{}/mountinfo", oldest.pid));
        if (!table) continue;
        const auto used = std::find_if(table->begin(), table->end(), [&](const MountEntry& mount) {
            return std::any_of(parts.begin(), parts.end(), [&](const Part& part) { return uses(mount, part); });
        });
        if (used == table->end()) continue;
        users.push_back({oldest.pid, process_name(oldest.pid), escaped(used->mount_point)});
    }
    std::sort(users.begin(), users.end(), [](const MountUser& a, const MountUser& b) { return a.pid < b.pid; });
    return users;
}

std::string to_text(const MountUser& user) {
    return fmt::format("a container of {}", process_label(user.pid, user.command));
}

}  // namespace brokerd
