#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/loop/core_loop.h"
#include "daemon/runtime/runtime_settings.h"
#include "daemon/supervision/plugin_runner.h"

namespace brokerd {

/// Runs plugins as containers of an OCI runtime, each under a shim of its own (daemon/shim) that outlives this process.
/// What blocks (the runtime, mounts, files) is done by threads of its own, so that one plugin never delays another;
/// every step of it has a deadline. Thread: the core loop's. The loop outlives it, and it outlives its RunningPlugins.
class ContainerRunner final : public PluginRunner {
public:
    /// Makes the directories that it needs below the runtime root. A missing OCI runtime is no reason to fail:
    /// problem() tells, and so does each start.
    ContainerRunner(CoreLoop& loop, const RuntimeSettings& settings);
    /// Leaves all plugins running. Starts that are under way are given up: they end undone, or are adopted next time.
    /// Waits for what has begun, which sees that it is to end.
    ~ContainerRunner() override;

    void start(PluginRecordPtr plugin, Started started, Ended ended) override;
    [[nodiscard]] std::vector<std::string> survivors() override;
    void adopt(const std::string& id, Started started, Ended ended) override;

    /// Another OCI runtime, for what begins from now on; plugins that run go on.
    void use_runtime(std::string path_or_name);

    /// Why no plugin can be started on this host, and what to do ("no OCI runtime: …"); empty: nothing known.
    [[nodiscard]] std::string problem() const;
    /// For the log and the doctor: "runc 1.1.5, cgroups by systemd, logs in the journal"; what is not known yet (it is
    /// asked in the background) is left out.
    [[nodiscard]] std::string description() const;
    /// Calls back with why a running plugin has not answered on the socket that its config names (see
    /// daemon/runtime/socket_diagnosis.h). Bounded in time.
    void why_not_listening(pid_t pid, const std::string& id, const std::string& socket, const std::string& last_try,
                           std::function<void(std::string sentence)> then);

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace brokerd
