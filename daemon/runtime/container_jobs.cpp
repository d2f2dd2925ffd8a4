#include "daemon/runtime/container_jobs.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <memory>

#include "common/os/disk_error.h"
#include "common/os/exclusive_lock.h"
#include "common/os/system_error.h"
#include "daemon/bundle/runtime_spec.h"
#include "daemon/loop/log_entry.h"
#include "daemon/runtime/bundle_directory.h"
#include "daemon/runtime/cgroup_driver.h"
#include "daemon/runtime/host_mounts.h"
#include "daemon/runtime/plugin_cgroup.h"
#include "daemon/runtime/shim_process.h"
#include "daemon/runtime/systemd_manager.h"
#include "daemon/runtime/watched_process.h"

// The order in which things are made and removed: the bundle directory is the first that is made and the last that is
// removed. As long as there is one, the plugin runs or has left something, and whoever may lock it may clear it away; a
// crash of brokerd at any point leaves no trace that the next one would not find.

namespace brokerd {
namespace {

/// Ours: a little longer than the shim gives the OCI runtime, so that the shim is the one that says what happened.
constexpr std::chrono::milliseconds kStartLimit = kShimStartLimit + std::chrono::seconds{5};
/// Ours: a brokerd that was killed in the middle of a start may leave a shim that is still waiting for the runtime.
constexpr std::chrono::milliseconds kAdoptLimit = kShimStartLimit;
/// Ours: how long the end of a process that was killed may take. Longer: it is in an uninterruptible sleep.
constexpr std::chrono::seconds kKillPatience{10};

std::string canonical(const std::string& path) {
    std::error_code code;
    const auto found = std::filesystem::weakly_canonical(path, code);
    return code ? path : found.string();
}

bool exists(const std::string& path) {
    struct stat status {};
    return lstat(path.c_str(), &status) == 0;
}

bool is_directory(const std::string& path) {
    struct stat status {};
    return lstat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

PluginExit::Kind kind_of(ShimExit::Kind kind) {
    switch (kind) {
        case ShimExit::Kind::exited:
            return PluginExit::Kind::exited;
        case ShimExit::Kind::killed:
            return PluginExit::Kind::killed;
        case ShimExit::Kind::unknown:
            return PluginExit::Kind::unknown;
    }
    std::abort();
}

/// What the shim has noted, or what can be said without it.
PluginExit exit_of(const std::string& bundle, const std::string& shim_end) {
    const auto directory = open_directory(bundle);
    const auto noted = directory ? read_exit(directory->get()) : Result<std::optional<ShimExit>>{std::nullopt};
    PluginExit exit;
    exit.at = std::chrono::system_clock::now();
    if (noted && *noted) {
        const ShimExit& its = **noted;
        return {kind_of(its.kind), its.status, its.out_of_memory, its.last_words, its.at};
    }
    exit.last_words = fmt::format("its shim {} before it", shim_end);
    return exit;
}

/// Reaps the shim where it is our child: it is not one that an earlier brokerd has started.
std::string reap(const UniqueFd& shim) {
    siginfo_t how{};
    if (waitid(P_PIDFD, static_cast<id_t>(shim.get()), &how, WEXITED | WNOHANG) != 0 || how.si_pid == 0) return "ended";
    return how.si_code == CLD_EXITED ? fmt::format("ended with status {}", how.si_status)
                                     : fmt::format("was killed by signal {}", how.si_status);
}

void warn_about(const std::string& id, std::string message) {
    log_entry({LogLevel::warning, std::move(message), {}, {{"PLUGIN_ID", id}}});
}

void warn(const std::string& id, const std::string& message) {
    warn_about(id, fmt::format("what plugin {} has left cannot all be removed: {}", id, message));
}

/// Where the shim ended first; nobody would see its end.
void end_plugin(const std::string& id, const RunningContainer& container) {
    const pid_t pid = container.process.pid;
    const auto opened = container.plugin ? Result<UniqueFd, int>{UniqueFd{}} : open_process(container.process);
    if (!opened) return warn(id, fmt::format("its process {} cannot be killed: {}", pid, errno_text(opened.error())));
    const UniqueFd& process = container.plugin ? container.plugin : *opened;
    send_signal(process, SIGKILL);
    if (!wait_for_end(process, kKillPatience))
        warn_about(id, fmt::format("plugin {}: its process {} does not end, although it was killed", id, pid));
}

}  // namespace

ContainerJobs::ContainerJobs(const RuntimeSettings& settings, const Cancellation& cancellation)
    : settings_{settings}, runtime_{settings.runtime}, cancellation_{cancellation} {
    settings_.state_root = canonical(settings_.state_root);  // as /proc/self/mountinfo shows it
    settings_.runtime_root = canonical(settings_.runtime_root);
}

CgroupDriver ContainerJobs::cgroup_driver() const {
    std::call_once(driver_chosen_,
                   [this] { driver_ = settings_.cgroup_driver ? *settings_.cgroup_driver : choose_cgroup_driver(); });
    return driver_;
}

bool ContainerJobs::logs_to_journal() const {
    using enum RuntimeSettings::LogTarget;
    return settings_.logs == journal || (settings_.logs == automatic && exists("/run/systemd/journal/socket"));
}

OciRuntime ContainerJobs::runtime() const {
    return {runtime_name(), settings_.runtime_root + "/runtime-state", cgroup_driver() == CgroupDriver::systemd,
            cancellation_};
}

Result<std::string> ContainerJobs::shim() const {
    if (settings_.shim.empty()) return find_shim();
    return settings_.shim;
}

std::vector<ContainerJobs::Found> ContainerJobs::find_bundles() const {
    std::vector<Found> found;
    const std::string directory = settings_.runtime_root + "/bundles";
    const std::unique_ptr<DIR, int (*)(DIR*)> entries{opendir(directory.c_str()), &closedir};
    if (!entries) return found;
    while (const dirent* const entry = readdir(entries.get())) {  // NOLINT(concurrency-mt-unsafe): a stream of its own
        const std::string id = entry->d_name;
        if (!is_plugin_id(id)) continue;
        const UniqueFd lock{open(places(id).lock.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC)};
        found.push_back({id, lock && !try_lock(lock)});
    }
    return found;
}

Result<RunningContainer> ContainerJobs::start(const PluginRecord& plugin) const {
    const PluginPlaces where = places(plugin.id);
    if (!plugin.broken.empty()) return fail(plugin.broken);
    // Where systemd ends plugins before brokerd, they seem to have crashed.
    if (cgroup_driver() == CgroupDriver::systemd && host_is_stopping())
        return fail("the host shuts down, and no plugin is started any more");
    if (!is_directory(where.rootfs))
        return fail(fmt::format("its rootfs {} is missing; remove the plugin and install it again", where.rootfs));
    if (const auto program = runtime().path(); !program) return fail(program.error());
    if (!clear(plugin.id)) return fail("an earlier run of it has not ended: its shim still lives");
    remove_bundle(plugin.id);  // where something of the earlier run cannot be removed, at least its notes can
    if (const auto made = make_private_directories(where.bundle); !made) return fail(made.error());
    const auto lock = open_lock(where.lock);
    if (!lock || !try_lock(*lock)) return fail(fmt::format("cannot lock {}: {}", where.lock, errno_text(errno)));
    bool left_alone = false;
    auto running = [&]() -> Result<RunningContainer> {
        if (const auto prepared = prepare(plugin, where); !prepared) return fail(prepared.error());
        return run_shim(plugin, where, *lock, left_alone);
    }();
    if (!running && !left_alone) remove_all(plugin.id);
    return running;
}

Result<bool> ContainerJobs::prepare(const PluginRecord& plugin, const PluginPlaces& places) const {
    if (const auto made = make_private_directories(places.runtime_state); !made) return made;
    // No other user of the host gets to a plugin's socket, whatever mode the plugin gives it: /run/brokerd/exec is
    // root's alone. The directory itself is the plugin's, whose user may be another one, and is like Docker's.
    const std::string above = places.exec.substr(0, places.exec.rfind('/'));
    if (const auto made = make_private_directories(above); !made) return made;
    if (mkdir(places.exec.c_str(), 0700) != 0) return fail(disk_error("make the directory", places.exec, errno));
    const UniqueFd exec{open(places.exec.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
    if (!exec) return fail(disk_error("open the directory", places.exec, errno));
    if (const auto mounted = mount_socket_directory(exec, places.exec, plugin.config->uid, plugin.config->gid);
        !mounted)
        return mounted;
    // Nobody is told of a mount. The core, which waits for the socket, may watch the directory below it by now, and
    // looks again because of this.
    if (fchmod(exec.get(), 0755) != 0) return fail(disk_error("open to others", places.exec, errno));
    if (!plugin.config->propagated_mount.empty()) {
        if (const auto mounted = make_shared_mount(places.propagated_mount); !mounted) return mounted;
    }
    return write_spec(plugin, places);
}

Result<bool> ContainerJobs::write_spec(const PluginRecord& plugin, const PluginPlaces& places) const {
    SpecPlaces spec_places;
    spec_places.rootfs = places.rootfs;
    spec_places.socket_directory = places.exec;
    spec_places.propagated_mount = places.propagated_mount;
    spec_places.cgroups_path = cgroups_path(cgroup_driver(), plugin.id);
    spec_places.systemd_cgroup = cgroup_driver() == CgroupDriver::systemd;
    const auto profile = SeccompProfile::find(SeccompProfile::usual_paths());
    if (!profile) return fail(profile.error());
    const auto spec = runtime_spec(plugin, spec_places, *profile);
    if (!spec) return fail(spec.error());
    const auto bundle = open_directory(places.bundle);
    if (!bundle) return fail(bundle.error());
    if (!write_bundle_file(bundle->get(), "config.json", *spec))
        return fail(disk_error("write", places.bundle + "/config.json", errno));
    return true;
}

Result<RunningContainer> ContainerJobs::run_shim(const PluginRecord& plugin, const PluginPlaces& places,
                                                 const UniqueFd& lock, bool& left_alone) const {
    const auto program = shim();
    if (!program) return fail(program.error());
    const auto runtime_path = runtime().path();
    if (!runtime_path) return fail(runtime_path.error());
    const ShimOrder order{plugin.id,
                          plugin.name,
                          *runtime_path,
                          places.runtime_state,
                          places.bundle,
                          cgroup_driver() == CgroupDriver::systemd,
                          logs_to_journal() ? std::string{} : places.log_directory};
    auto started = start_shim(*program, order, lock, kStartLimit, cancellation_);
    if (!started) {
        left_alone = started.error().left_alone;
        return fail(started.error().message);
    }
    return RunningContainer{{}, std::move(started->shim), started->plugin, std::chrono::system_clock::now()};
}

Result<RunningContainer> ContainerJobs::adopt(const std::string& id) const {
    const PluginPlaces where = places(id);
    if (!is_directory(where.bundle)) return fail("it has ended meanwhile");
    const auto lock = open_lock(where.lock);
    if (!lock) return fail(lock.error());
    switch (await_running(where.bundle, *lock, kAdoptLimit, cancellation_)) {
        case BundleState::ended: {
            const std::string how = exit_of(where.bundle, "ended").str();
            remove_all(id);
            return fail(fmt::format("while brokerd was away, it {}", how));
        }
        case BundleState::unclear:
            if (cancellation_.is_cancelled()) return fail("brokerd stops");
            [[fallthrough]];
        case BundleState::running:
            return take_over(id, *lock);
    }
    std::abort();
}

Result<RunningContainer> ContainerJobs::take_over(const std::string& id, const UniqueFd& lock) const {
    const PluginPlaces where = places(id);
    const auto directory = open_directory(where.bundle);
    const auto noted = directory ? read_running(directory->get()) : Result<std::optional<ShimRunning>>{std::nullopt};
    if (noted && *noted) {
        const ShimRunning& its = **noted;
        auto shim = open_process(its.shim);
        if (shim && *shim) return RunningContainer{{}, *std::move(shim), its.plugin, its.started};
    }
    // Somebody holds the lock who cannot be told for sure. No number is signalled on suspicion: what is killed is what
    // is in the plugin's control group. The shim ends after the plugin.
    kill_all(id);
    if (!lock_exclusively(lock.get()))
        warn_about(id, fmt::format("plugin {}: its shim does not end; it is forgotten", id));
    remove_all(id);
    return fail("what runs cannot be proven to be this plugin, and has been ended");
}

PluginExit ContainerJobs::finish(const std::string& id, const RunningContainer& container) const {
    const PluginPlaces where = places(id);
    if (!has_ended(container.shim)) {
        warn_about(id, fmt::format("plugin {}: its shim does not end by itself, and is killed", id));
        send_signal(container.shim, SIGKILL);
        [[maybe_unused]] const bool ended = wait_for_end(container.shim, kKillPatience);
    }
    const std::string shim_end = reap(container.shim);
    end_plugin(id, container);
    const auto lock = open_lock(where.lock);
    if (lock) [[maybe_unused]]
        const bool locked = lock_exclusively(lock->get());
    PluginExit exit = exit_of(where.bundle, shim_end);
    remove_all(id);
    return exit;
}

bool ContainerJobs::clear(const std::string& id) const {
    const PluginPlaces where = places(id);
    if (!is_directory(where.bundle) && !exists(where.exec)) return true;
    if (!is_directory(where.bundle)) {
        remove_all(id);
        return true;
    }
    const auto lock = open_lock(where.lock);
    if (lock && !lock_exclusively(lock->get())) return false;
    remove_all(id);
    return true;
}

void ContainerJobs::kill_all(const std::string& id) const {
    const auto group = PluginCgroup::find(id);
    if (!group) return warn(id, group.error().message);
    if (!group->exists()) return;
    if (const auto killed = group->kill_all(); !killed) warn(id, killed.error().message);
}

}  // namespace brokerd
