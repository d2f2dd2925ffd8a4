#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <string>

#include "daemon/archive/remove_tree.h"
#include "daemon/loop/log_entry.h"
#include "daemon/runtime/container_jobs.h"
#include "daemon/runtime/host_mounts.h"
#include "daemon/runtime/plugin_cgroup.h"

// The end of a plugin's run: whatever is left of it goes, and one thing that cannot be removed keeps none of the
// others.

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
    const UniqueFd parent{open(path.substr(0, slash).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!parent) return;
    if (const auto removed = remove_tree(parent.get(), path.substr(slash + 1)); !removed)
        warn(id, removed.error().message);
}

}  // namespace

void ContainerJobs::remove_all(const std::string& id) const {
    const PluginPlaces where = places(id);
    kill_all(id);  // of a plugin in the host's pid namespace, its children outlive its first process
    remove_from_runtime(id);
    if (cancellation_.is_cancelled()) return;  // the bundle stays, so that the next brokerd finds the rest
    if (const auto group = PluginCgroup::find(id); group && group->exists()) {
        if (const auto removed = group->remove(); !removed) warn(id, removed.error().message);
    }
    for (const std::string& place : {where.exec, where.rootfs, where.propagated_mount}) {
        if (const auto done = unmount_below(place); !done) warn(id, done.error().message);
    }
    remove_directory(id, where.exec);
    remove_directory(id, where.bundle);
}

void ContainerJobs::remove_from_runtime(const std::string& id) const {
    const std::string state = places(id).runtime_state + "/" + id;  // runc, crun and youki keep it there
    if (!exists(state)) return;
    const auto removed = runtime().remove(id);
    if (cancellation_.is_cancelled()) return;
    if (!removed) warn(id, removed.error().message);
    if (exists(state)) remove_directory(id, state);
}

}  // namespace brokerd
