#include "daemon/runtime/plugin_cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <memory>
#include <string_view>

#include "common/os/system_error.h"
#include "common/os/unique_fd.h"
#include "daemon/runtime/mount_table.h"

namespace brokerd {
namespace {

/// Ours: a process that a SIGKILL does not end within this time is in an uninterruptible sleep.
constexpr std::chrono::seconds kPatience{5};
constexpr std::size_t kMaxProcsBytes = std::size_t{4} << 20;
constexpr int kMaxDepth = 16;  ///< of groups that a plugin has made in its own

bool is_directory(const std::string& path) {
    struct stat status {};
    return lstat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

std::string read_whole(const std::string& path) {
    std::string text;
    const UniqueFd fd{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)};
    if (!fd) return text;
    std::array<char, 8192> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init): read() fills it
    while (text.size() < kMaxProcsBytes) {
        const ssize_t got = read(fd.get(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        text.append(buffer.data(), static_cast<std::size_t>(got));
    }
    return text;
}

std::vector<std::string> children(const std::string& directory) {
    std::vector<std::string> found;
    const std::unique_ptr<DIR, int (*)(DIR*)> entries{opendir(directory.c_str()), &closedir};
    if (!entries) return found;
    while (const dirent* const entry = readdir(entries.get())) {  // NOLINT(concurrency-mt-unsafe): a stream of its own
        const std::string_view name = entry->d_name;
        if (entry->d_type == DT_DIR && name != "." && name != "..") found.push_back(directory + "/" + entry->d_name);
    }
    return found;
}

/// The groups of the tree, children before their parents.
void collect(const std::string& directory, int depth, std::vector<std::string>& groups) {
    if (depth < kMaxDepth) {
        for (const std::string& child : children(directory)) collect(child, depth + 1, groups);
    }
    groups.push_back(directory);
}

std::vector<std::string> tree_of(const std::vector<std::string>& roots) {
    std::vector<std::string> groups;
    for (const std::string& root : roots) {
        if (is_directory(root)) collect(root, 0, groups);
    }
    return groups;
}

std::vector<pid_t> processes_of(const std::string& group) {
    std::vector<pid_t> processes;
    const std::string text = read_whole(group + "/cgroup.procs");
    for (std::string_view rest = text; !rest.empty();) {
        pid_t pid = 0;
        const auto [end, code] = std::from_chars(rest.data(), rest.data() + rest.size(), pid);
        if (code == std::errc{} && pid > 0) processes.push_back(pid);  // 0: of a foreign pid namespace
        const std::size_t next = rest.find('\n');
        rest.remove_prefix(next == std::string_view::npos ? rest.size() : next + 1);
    }
    return processes;
}

/// Whether `pid` is a process of the group now. Called after its pidfd has been opened, it tells whether the pidfd is
/// for that process: a number can only have gone to another process before the first look or after the second.
bool is_member(const std::string& group, pid_t pid) {
    for (const pid_t member : processes_of(group)) {
        if (member == pid) return true;
    }
    return false;
}

/// Kills what is in the group; adds descriptors of those that are still to end.
void kill_members(const std::string& group, std::vector<UniqueFd>& dying) {
    for (const pid_t pid : processes_of(group)) {
        UniqueFd process{static_cast<int>(syscall(SYS_pidfd_open, pid, 0U))};
        if (!process || !is_member(group, pid)) continue;
        syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0U);
        dying.push_back(std::move(process));
    }
}

/// cgroup v2, Linux 5.14 and later: all processes of the tree at once, also those that are just being made.
void kill_tree(const std::string& root) {
    const UniqueFd fd{open((root + "/cgroup.kill").c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW)};
    if (!fd) return;
    [[maybe_unused]] const auto ignored = write(fd.get(), "1", 1);
}

void wait_for_ends(const std::vector<UniqueFd>& dying, std::chrono::steady_clock::time_point until) {
    for (const UniqueFd& process : dying) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
        pollfd end{process.get(), POLLIN, 0};
        poll(&end, 1, static_cast<int>(std::max<std::chrono::milliseconds::rep>(left.count(), 0)));
    }
}

}  // namespace

Result<PluginCgroup> PluginCgroup::find(const std::string& id) {
    const auto mounts = read_mount_table();
    if (!mounts) return fail(mounts.error());
    std::vector<std::string> directories;
    for (const MountEntry& mount : *mounts) {
        if (mount.type != "cgroup" && mount.type != "cgroup2") continue;
        directories.push_back(mount.mount_point + "/brokerd.slice/brokerd-" + id + ".scope");
        directories.push_back(mount.mount_point + "/brokerd/" + id);
    }
    return PluginCgroup{std::move(directories)};
}

bool PluginCgroup::exists() const {
    return std::any_of(directories_.begin(), directories_.end(), is_directory);
}

Result<bool> PluginCgroup::kill_all() const {
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (true) {
        for (const std::string& root : directories_) kill_tree(root);
        std::vector<UniqueFd> dying;
        for (const std::string& group : tree_of(directories_)) kill_members(group, dying);
        if (dying.empty()) return true;
        wait_for_ends(dying, until);
        if (std::chrono::steady_clock::now() >= until)
            return fail(fmt::format("{} of its processes do not end, although they were killed", dying.size()));
    }
}

Result<bool> PluginCgroup::remove() const {
    for (const std::string& group : tree_of(directories_)) {
        if (rmdir(group.c_str()) != 0 && errno != ENOENT)
            return fail(fmt::format("cannot remove the control group {}: {}", group, errno_text(errno)));
    }
    return true;
}

}  // namespace brokerd
