#include "daemon/runtime/host_mounts.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "common/os/disk_error.h"
#include "common/os/system_error.h"
#include "common/os/unique_fd.h"
#include "daemon/runtime/mount_table.h"

// A directory that is bound on itself with mount(2) joins the peer group of the file system it lies in, which is shared
// on every host with systemd: what a plugin then mounts below it appears twice, once more on the directory underneath,
// and the second one stays when the first is unmounted. So the mount gets a peer group of its own *before* it is put in
// its place: a detached copy (open_tree), made private, made shared, then attached. Attaching it passes it on to the
// other namespaces of the host, and these copies are peers, so that plugins' volumes are seen there as well.

namespace brokerd {
namespace {

/// Ours: mounts can be stacked at one place, and new ones may come while others go; but not for ever.
constexpr int kMaxRounds = 64;

/// Ours: for sockets, and whatever else a plugin may leave beside them (pid files, spec files).
constexpr const char* kSocketBytes = "16m";
constexpr const char* kSocketFiles = "4096";

Result<bool> set_propagation(const UniqueFd& tree, std::uint64_t propagation, const std::string& directory) {
    mount_attr attributes{};
    attributes.propagation = propagation;
    if (mount_setattr(tree.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) == 0) return true;
    return fail(fmt::format("cannot make the mount of {} a shared one: {}", directory, errno_text(errno)));
}

std::vector<MountEntry> mounts_below(std::vector<MountEntry> mounts, const std::string& path) {
    std::erase_if(mounts, [&](const MountEntry& mount) { return !is_at_or_below(mount.mount_point, path); });
    // What lies deeper has the longer path; of several at one place, umount2(2) takes the newest, which is on top.
    std::stable_sort(mounts.begin(), mounts.end(), [](const MountEntry& a, const MountEntry& b) {
        return a.mount_point.size() > b.mount_point.size();
    });
    return mounts;
}

}  // namespace

Result<bool> make_shared_mount(const std::string& directory) {
    constexpr mode_t kMode = 0755;  // as Docker's: the plugin's user has to get in
    if (mkdir(directory.c_str(), kMode) != 0 && errno != EEXIST)
        return fail(disk_error("make the directory", directory, errno));
    const auto mounts = read_mount_table();
    if (!mounts) return fail(mounts.error());
    for (const MountEntry& mount : *mounts) {
        if (mount.mount_point == directory && mount.shared) return true;
    }
    // The directory itself, not what a symbolic link in its place leads to.
    const UniqueFd place{open(directory.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
    if (!place) return fail(disk_error("open the directory", directory, errno));
    const UniqueFd tree{open_tree(place.get(), "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH)};
    if (!tree) return fail(fmt::format("cannot bind {} on itself: {}", directory, errno_text(errno)));
    if (const auto done = set_propagation(tree, MS_PRIVATE, directory); !done) return done;
    if (const auto done = set_propagation(tree, MS_SHARED, directory); !done) return done;
    if (move_mount(tree.get(), "", place.get(), "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0)
        return fail(fmt::format("cannot mount {} on itself: {}", directory, errno_text(errno)));
    return true;
}

Result<bool> mount_socket_directory(const UniqueFd& directory, const std::string& path, std::uint32_t uid,
                                    std::uint32_t gid) {
    const auto cannot = [&] {
        return fail(fmt::format("cannot mount a file system in memory on {}: {}", path, errno_text(errno)));
    };
    const UniqueFd context{fsopen("tmpfs", FSOPEN_CLOEXEC)};
    if (!context) return cannot();
    for (const auto& [name, value] :
         std::initializer_list<std::pair<const char*, std::string>>{{"source", "brokerd"},
                                                                    {"size", kSocketBytes},
                                                                    {"nr_inodes", kSocketFiles},
                                                                    {"mode", "0755"},
                                                                    {"uid", std::to_string(uid)},
                                                                    {"gid", std::to_string(gid)}}) {
        if (fsconfig(context.get(), FSCONFIG_SET_STRING, name, value.c_str(), 0) != 0) return cannot();
    }
    if (fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) return cannot();
    const UniqueFd tree{
        fsmount(context.get(), FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)};
    if (!tree) return cannot();
    if (move_mount(tree.get(), "", directory.get(), "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0)
        return cannot();
    return true;
}

Result<bool> unmount_below(const std::string& path) {
    std::string first_failure;
    for (int round = 0; round < kMaxRounds; ++round) {
        auto table = read_mount_table();
        if (!table) return fail(table.error());
        const std::vector<MountEntry> mounts = mounts_below(*std::move(table), path);
        if (mounts.empty()) return true;
        bool progress = false;
        for (const MountEntry& mount : mounts) {
            // Lazily from the start: a plain umount2() of one that nobody uses does not do more than that.
            if (umount2(mount.mount_point.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
                progress = true;
            } else if (errno != EINVAL && errno != ENOENT &&
                       first_failure.empty()) {  // not those that went with others
                first_failure = fmt::format("cannot unmount {}: {}", mount.mount_point, errno_text(errno));
            }
        }
        if (!progress) break;
    }
    if (first_failure.empty()) first_failure = fmt::format("cannot unmount all that is mounted below {}", path);
    return fail(first_failure);
}

}  // namespace brokerd
