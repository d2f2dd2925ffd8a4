#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/plugin_view.h"
#include "daemon/core/plugin_offers.h"
#include "daemon/loop/scheduler.h"
#include "daemon/supervision/supervisor.h"

namespace brokerd {

/// Where managed plugins live on this host.
struct ManagedPlaces {
    std::string plugins;  ///< STATE/plugins: each has a directory of its own, by ID
    std::string exec;     ///< RUNTIME/exec: each has its socket in a directory of its own, by ID
};

/// Makes managed plugins run as the operator wants: what is desired (records) meets what is (Supervisor, activation).
/// A plugin is offered to engines from when it is wanted, so that calls wait for it while it starts.
/// Thread: the core loop's. Everything it is given outlives it.
class ManagedRuns {
public:
    /// Nothing, or why it failed: one sentence.
    using Done = std::function<void(std::optional<std::string> problem)>;
    /// Told when what a plugin is doing has changed: its state as PluginView has it, and why.
    using Changed =
        std::function<void(const PluginRecord& plugin, const std::string& state, const std::string& reason)>;
    /// Finds out why a running plugin does not answer on its socket, where `last_try` is what came of asking it last,
    /// and tells `then` later.
    using Diagnose = std::function<void(pid_t pid, const std::string& id, const std::string& socket,
                                        const std::string& last_try, std::function<void(std::string)> then)>;

    ManagedRuns(Scheduler& scheduler, PluginRunner& runner, SupervisorSettings settings, ManagedPlaces places,
                PluginOffers& offers, Diagnose diagnose, Changed changed);
    ~ManagedRuns();

    /// All installed plugins as they are wanted now. Those that are not wanted any more are stopped, but for those that
    /// start() has started and nobody has stopped.
    void apply(const std::vector<PluginRecordPtr>& records);

    /// See PluginRuns.
    void start(PluginRecordPtr plugin, std::chrono::milliseconds timeout, Done done);
    void stop(const std::string& id, std::function<void()> done);
    /// Stops all for good: from now on no plugin is started any more, whatever is asked for.
    void stop_all(std::function<void()> done);
    /// Gives up a start(): where it is under way, its `done` is told so. Where it has succeeded and its record is not
    /// known as enabled, the plugin is stopped all the same: whoever asked did not hear of it.
    void give_up(const std::string& id);

    /// The plugin's handshakes have led to something else, see PluginOffers::activation().
    void on_activation(const std::string& id);
    /// Its probes have.
    void on_health(const std::string& id, bool healthy, const std::string& reason);

    /// Adds to a view of an installed plugin what it is doing.
    void complete(PluginView& view) const;
    [[nodiscard]] PluginRun run_of(const std::string& id) const { return supervisor_.find(id); }

    /// Whether plugins that are unhealthy are restarted; also those that are so already. At first they are not.
    void restart_unhealthy(bool restarts);

private:
    /// What somebody waits for.
    struct Trial {
        Done done;  ///< empty once it has answered: then it waits for its record to become enabled
        std::unique_ptr<Scheduler::Timer> timer;
        std::uint64_t number = 0;  ///< which of all trials
    };
    struct Wanted {
        PluginRecordPtr plugin;
        std::optional<Trial> trial;  ///< the operator has not been told yet that it runs, or it is not stored yet
        bool healthy = true;
        std::string health;  ///< why it is not
    };
    struct Status {
        std::string state;
        std::string reason;
    };

    void want(PluginRecordPtr plugin, Supervisor::Mode mode);
    void end_trial(const std::string& id, const std::string& problem);
    void pass_trial(const std::string& id);
    void on_timeout(const std::string& id);
    void on_run(const std::string& id, const PluginRun& run);
    void note(const std::string& id);
    [[nodiscard]] PluginOffer make_offer(const PluginRecord& plugin) const;
    [[nodiscard]] Status status(const std::string& id) const;

    Scheduler& scheduler_;
    PluginOffers& offers_;
    const ManagedPlaces places_;
    const Diagnose diagnose_;
    const Changed changed_;
    Supervisor supervisor_;
    std::map<std::string, Wanted> wanted_;           ///< by ID
    std::map<std::string, PluginRecordPtr> known_;   ///< all that are installed, by ID
    std::map<std::string, std::string> last_state_;  ///< that was told, by ID
    std::uint64_t last_trial_ = 0;
    bool restarts_unhealthy_ = false;
    bool first_ = true;
    bool stopped_ = false;
};

}  // namespace brokerd
