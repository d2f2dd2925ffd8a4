#pragma once

#include <sys/types.h>

#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "common/current.h"
#include "common/os/unique_fd.h"
#include "common/result.h"
#include "daemon/managed/plugin_record.h"
#include "daemon/runtime/cancellation.h"
#include "daemon/runtime/oci_runtime.h"
#include "daemon/runtime/plugin_places.h"
#include "daemon/runtime/runtime_settings.h"
#include "daemon/shim/shim_files.h"
#include "daemon/supervision/plugin_runner.h"

namespace brokerd {

/// A plugin that runs, and the shim that watches it.
struct RunningContainer {
    UniqueFd plugin;  ///< pidfd of its first process; none where that has ended, or one cannot be had
    UniqueFd shim;    ///< pidfd
    ProcessIdentity process;
    std::chrono::system_clock::time_point started{};
};

/// All that blocks in running plugins: one function for each step of a plugin's life. Bounded in time; gives up early
/// when it is cancelled. Thread: any that may wait, but only one at a time for the same ID.
class ContainerJobs {
public:
    ContainerJobs(const RuntimeSettings& settings, const Cancellation& cancellation);

    /// The plugins that have a bundle directory, and whether a shim lives there. Fast: waits for nothing.
    struct Found {
        std::string id;
        bool lives = false;
    };
    [[nodiscard]] std::vector<Found> find_bundles() const;

    /// See PluginRunner::start(). After an error nothing is left.
    [[nodiscard]] Result<RunningContainer> start(const PluginRecord& plugin) const;
    /// See PluginRunner::adopt().
    [[nodiscard]] Result<RunningContainer> adopt(const std::string& id) const;
    /// After the end of the plugin or of its shim: ends the other one, too, and removes all that is left.
    [[nodiscard]] PluginExit finish(const std::string& id, const RunningContainer& container) const;
    /// Removes what a plugin that ended unwatched has left; false: a shim lives there.
    [[nodiscard]] bool clear(const std::string& id) const;
    /// SIGKILL to all of a plugin's processes.
    void kill_all(const std::string& id) const;

    /// Of the OCI runtime, the shim and the host; chosen when first asked for.
    [[nodiscard]] CgroupDriver cgroup_driver() const;
    [[nodiscard]] bool logs_to_journal() const;
    [[nodiscard]] OciRuntime runtime() const;
    /// The path or name that runtime() has now.
    [[nodiscard]] std::string runtime_name() const { return *runtime_.get(); }
    /// For what begins from now on.
    void use_runtime(std::string path_or_name) { runtime_.set(std::move(path_or_name)); }
    [[nodiscard]] Result<std::string> shim() const;
    [[nodiscard]] PluginPlaces places(const std::string& id) const { return {settings_, id}; }

private:
    [[nodiscard]] Result<bool> prepare(const PluginRecord& plugin, const PluginPlaces& places) const;
    [[nodiscard]] Result<bool> write_spec(const PluginRecord& plugin, const PluginPlaces& places) const;
    [[nodiscard]] Result<RunningContainer> run_shim(const PluginRecord& plugin, const PluginPlaces& places,
                                                    const UniqueFd& lock, bool& left_alone) const;
    [[nodiscard]] Result<RunningContainer> take_over(const std::string& id, const UniqueFd& lock) const;
    void remove_all(const std::string& id) const;
    void remove_from_runtime(const std::string& id) const;
    void remove_bundle(const std::string& id) const;
    /// Where an OCI runtime keeps what it knows of the container.
    [[nodiscard]] std::string runtime_state_of(const std::string& id) const;

    RuntimeSettings settings_;  ///< but for the runtime
    Current<std::string> runtime_;
    const Cancellation& cancellation_;
    mutable std::once_flag driver_chosen_;
    mutable CgroupDriver driver_ = CgroupDriver::cgroupfs;
};

}  // namespace brokerd
