#pragma once

#include <memory>
#include <optional>
#include <string>

#include "daemon/loop/core_loop.h"
#include "daemon/managed/plugin_record.h"
#include "daemon/runtime/container_runner.h"
#include "tests/unit/temporary_directory.h"

namespace brokerd::test {

/// Whether this process may mount, and does so unseen. Set by main().
bool& has_own_mounts();
/// Says so where the test cannot run: not as root, or without runc and busybox.
bool can_run_containers();
bool can_mount();

/// Private roots, and a runner on them.
class RuntimeHost {
public:
    RuntimeHost();
    /// Ends what a failed test has left running.
    ~RuntimeHost();
    RuntimeHost(const RuntimeHost&) = delete;
    RuntimeHost& operator=(const RuntimeHost&) = delete;

    /// A plugin whose rootfs is busybox and whose entrypoint is this shell script. `members`: more of its config,
    /// beginning with a comma.
    PluginRecordPtr plugin(const std::string& script, const std::string& members = {});

    /// As a new brokerd does it. The one before goes away; its plugins run on.
    void new_runner();

    struct Run {
        std::unique_ptr<RunningPlugin> plugin;
        std::optional<std::string> error;
        std::optional<PluginExit> exit;
    };
    /// What the plugin is doing; filled by the runner's callbacks.
    std::shared_ptr<Run> start(const PluginRecordPtr& plugin);
    std::shared_ptr<Run> adopt(const std::string& id);
    /// Whether it runs; else its error is there.
    bool is_started(const std::shared_ptr<Run>& run);
    bool has_ended(const std::shared_ptr<Run>& run);
    /// Runs the loop until the plugin has written this file into its socket directory.
    bool is_there(const PluginRecordPtr& plugin, const std::string& name);

    /// What is left of a plugin: bundle, socket directory, runtime state, cgroups, mounts, processes; empty: nothing.
    [[nodiscard]] std::string leftovers(const std::string& id) const;
    [[nodiscard]] std::string exec(const std::string& id) const { return settings.runtime_root + "/exec/" + id; }

    TemporaryDirectory directory;
    RuntimeSettings settings;
    CoreLoop loop;
    std::unique_ptr<ContainerRunner> runner;

private:
    std::vector<std::string> ids_;
};

}  // namespace brokerd::test
