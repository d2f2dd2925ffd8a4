#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <string>

#include "common/os/disk_error.h"
#include "daemon/archive/remove_tree.h"
#include "daemon/loop/log_entry.h"
#include "daemon/runtime/container_jobs.h"
#include "daemon/runtime/host_mounts.h"
#include "daemon/runtime/plugin_cgroup.h"

// The end of a plugin's run: whatever is left of it goes, and one thing that cannot be removed keeps none of the
// others, but for the bundle: while anything is left, it tells the next brokerd, or the next run, of that.

namespace brokerd {
namespace {

void warn(const std::string& id, const std::string& message) {
    log_entry({LogLevel::warning,
               fmt::format("what plugin {} has left cannot all be removed: {}", id, message),
               {},
               {{"PLUGIN_ID", id}}});
}

bool exists(const std::string& path) {
    struct stat status {};
    return lstat(path.c_str(), &status) == 0;
}

/// `path` and what is in it, without following a link; what is mounted there has been unmounted.
void remove_directory(const std::string& id, const std::string& path) {
    const std::size_t slash = path.rfind('/');
    const std::string above = path.substr(0, slash);
    const UniqueFd parent{open(above.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!parent && errno == ENOENT) return;
    if (!parent) return warn(id, disk_error("open the directory", above, errno));
    if (const auto removed = remove_tree(parent.get(), path.substr(slash + 1)); !removed)
        warn(id, removed.error().message);
}

/// Whether the plugin has none any more.
bool remove_group(const std::string& id) {
    const auto group = PluginCgroup::find(id);
    if (!group) return false;  // kill_all() has told why
    if (!group->exists()) return true;
    const auto removed = group->remove();
    if (!removed) warn(id, removed.error().message);
    return static_cast<bool>(removed);
}

}  // namespace

void ContainerJobs::remove_all(const std::string& id) const {
    const PluginPlaces where = places(id);
    kill_all(id);  // of a plugin in the host's pid namespace, its children outlive its first process
    remove_from_runtime(id);
    if (cancellation_.is_cancelled()) return;  // the bundle stays, so that the next brokerd finds the rest
    bool all = remove_group(id);
    for (const std::string& place : {where.exec, where.rootfs, where.propagated_mount}) {
        const auto done = unmount_below(place);
        if (done) continue;
        warn(id, done.error().message);
        all = false;
    }
    remove_directory(id, where.exec);
    if (all && !exists(where.exec) && !exists(runtime_state_of(id))) remove_bundle(id);
}

void ContainerJobs::remove_bundle(const std::string& id) const {
    if (exists(places(id).bundle)) remove_directory(id, places(id).bundle);
}

std::string ContainerJobs::runtime_state_of(const std::string& id) const {
    return places(id).runtime_state + "/" + id;  // runc, crun and youki keep it there
}

void ContainerJobs::remove_from_runtime(const std::string& id) const {
    const std::string state = runtime_state_of(id);
    if (!exists(state)) return;
    const auto removed = runtime().remove(id);
    if (cancellation_.is_cancelled()) return;
    if (!removed) warn(id, removed.error().message);
    if (exists(state)) remove_directory(id, state);
}

}  // namespace brokerd
