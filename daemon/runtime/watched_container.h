#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>

#include "daemon/loop/core_loop.h"
#include "daemon/loop/io_source.h"
#include "daemon/runtime/container_jobs.h"
#include "daemon/supervision/plugin_runner.h"

namespace brokerd {

/// A plugin in a container, and its shim, until both have ended. A plugin that runs is followed also where a descriptor
/// for that cannot be had at first: it is asked for again. Thread: the core loop's.
class WatchedContainer final : public RunningPlugin {
public:
    /// ContainerJobs::finish(), elsewhere, and then `then` here.
    using Finish = std::function<void(std::shared_ptr<const RunningContainer>, std::function<void(PluginExit)> then)>;
    /// ContainerJobs::kill_all(), elsewhere.
    using KillAll = std::function<void()>;

    /// Ours: between the end of a plugin and that of its shim, which only has to write down the last of the output.
    static constexpr std::chrono::seconds kShimPatience{10};

    WatchedContainer(CoreLoop& loop, RunningContainer container, Finish finish, KillAll kill_all,
                     PluginRunner::Ended ended, std::chrono::milliseconds shim_patience = kShimPatience);

    [[nodiscard]] pid_t pid() const noexcept override { return container_->process.pid; }
    [[nodiscard]] std::chrono::system_clock::time_point started() const noexcept override {
        return container_->started;
    }
    void terminate() override;
    void kill() override;

private:
    [[nodiscard]] bool is_ending() const noexcept { return !on_shim_; }
    void follow();
    void expect_shim();
    void begin_end();

    CoreLoop& loop_;
    const std::shared_ptr<RunningContainer> container_;  ///< another thread's as well once it is ending
    const Finish finish_;
    const KillAll kill_all_;
    PluginRunner::Ended ended_;
    const std::chrono::milliseconds shim_patience_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
    std::optional<IoSource> on_plugin_;
    std::optional<IoSource> on_shim_;
    std::unique_ptr<Scheduler::Timer> again_;     ///< to follow()
    std::unique_ptr<Scheduler::Timer> patience_;  ///< with a shim whose plugin has ended
};

}  // namespace brokerd
