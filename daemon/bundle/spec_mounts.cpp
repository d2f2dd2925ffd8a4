#include "daemon/bundle/spec_mounts.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

namespace brokerd {
namespace {

/// Docker Plugin API: where a plugin's own socket appears.
constexpr const char* kSocketDirectoryInside = "/run/docker/plugins";

/// As Docker gives them to every container and plugin.
std::vector<SpecMount> default_mounts() {
    return {
        {"/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}},
        {"/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}},
        {"/dev/pts", "devpts", "devpts", {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
        {"/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"}},
        {"/sys/fs/cgroup", "cgroup", "cgroup", {"ro", "nosuid", "noexec", "nodev"}},
        {"/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}},
        {"/dev/shm", "tmpfs", "shm", {"nosuid", "noexec", "nodev", "mode=1777"}},
    };
}

bool has(const std::vector<std::string>& options, const char* option) {
    return std::find(options.begin(), options.end(), option) != options.end();
}

/// What is wrong with a source that is missing, and what to do.
std::string missing_source(const PluginRecord& plugin, const PluginMount& mount) {
    const std::string which = mount.name.empty() ? std::string{} : fmt::format("\"{}\" ", mount.name);
    const bool settable = has(mount.settable.items(), "source") && !mount.name.empty();
    const std::string remedy = settable
                                   ? fmt::format("set it: pluginctl set {} {}.source=PATH", plugin.name, mount.name)
                                   : std::string{"its config must give one: ask its author"};
    return fmt::format("its mount {}at {} has no source; {}", which, mount.destination, remedy);
}

Result<SpecMount> mount_of(const PluginRecord& plugin, const PluginMount& mount) {
    if (!mount.source || (mount.source->empty() && mount.is_bind())) return fail(missing_source(plugin, mount));
    SpecMount made{mount.destination, mount.type, *mount.source, mount.options.items()};
    // Of type bind but without the option: the runtime would look for a file system called "bind".
    if (mount.is_bind() && !has(made.options, "bind") && !has(made.options, "rbind")) made.options.push_back("rbind");
    return made;
}

/// The host's, read-only. A host without the file has nothing to show.
void add_host_file(std::vector<SpecMount>& mounts, const std::string& file, const char* inside) {
    if (::access(file.c_str(), F_OK) == 0) mounts.push_back({inside, "bind", file, {"rbind", "ro"}});
}

}  // namespace

Result<std::vector<SpecMount>> spec_mounts(const PluginRecord& plugin, const SpecPlaces& places) {
    const PluginConfig& config = *plugin.config;
    std::vector<SpecMount> mounts = default_mounts();
    // Below /dev a plugin's own mount replaces ours; elsewhere it is put on top, as with Docker.
    std::erase_if(mounts, [&](const SpecMount& ours) {
        return ours.destination.starts_with("/dev/") &&
               std::any_of(plugin.settings.mounts.begin(), plugin.settings.mounts.end(),
                           [&](const PluginMount& theirs) { return theirs.destination == ours.destination; });
    });
    if (!config.propagated_mount.empty()) {
        mounts.push_back({config.propagated_mount, "bind", places.propagated_mount, {"rbind", "rw", "rshared"}});
    }
    for (const PluginMount& mount : plugin.settings.mounts) {
        auto made = mount_of(plugin, mount);
        if (!made) return fail(made.error());
        mounts.push_back(*std::move(made));
    }
    // Docker makes this one rshared: what the plugin mounts on its socket directory would then appear on the host,
    // where nobody asked for it. Paths that are to be seen there are what the propagated mount is for.
    mounts.push_back(
        {kSocketDirectoryInside, "bind", places.socket_directory, {"rbind", "rprivate", "nosuid", "nodev", "noexec"}});
    if (config.network != PluginConfig::Network::unset) {
        add_host_file(mounts, places.hosts_file, "/etc/hosts");
        add_host_file(mounts, places.resolv_file, "/etc/resolv.conf");
    }
    return mounts;
}

}  // namespace brokerd
