#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/loop/scheduler.h"
#include "daemon/supervision/plugin_runner.h"

namespace brokerd {

/// What a managed plugin is doing, as opposed to what the operator wants.
struct PluginRun {
    enum class Phase : std::uint8_t {
        off,         ///< it does not run and is not to; `reason` says why a trial ended, if one did
        starting,    ///< it is being started, or runs and has not answered yet
        running,     ///< it has answered since it was started
        stopping,    ///< it has been told to end
        restarting,  ///< it ended unexpectedly (`reason`) and is started again at `next_attempt`
        /// It could not be started (`reason`); tried again at `next_attempt`. Or, without next_attempt: it could not be
        /// ended, see Supervisor::stop().
        failed,
    };

    Phase phase = Phase::off;
    /// Why it is in this phase, without a full stop ("it exited with status 1 0.2 s after its start: no such file");
    /// empty where that is no question.
    std::string reason;
    std::chrono::system_clock::time_point since{};
    unsigned restarts = 0;                ///< unexpected ends and failed starts since the operator enabled it
    std::optional<PluginExit> last_exit;  ///< of its newest end, also of one that was asked for
    std::optional<Scheduler::Clock::time_point> next_attempt;
    pid_t pid = 0;  ///< 0: none
    std::chrono::system_clock::time_point started{};
};

/// "off", "starting" …
[[nodiscard]] std::string_view to_text(PluginRun::Phase phase) noexcept;

struct SupervisorSettings {
    /// Between an unexpected end and the next start: doubles from the first to the longest.
    std::chrono::milliseconds first_pause{100};
    std::chrono::milliseconds longest_pause{60'000};
    /// A plugin that ran for so long after it answered begins again with the first pause.
    std::chrono::milliseconds stable_after{60'000};
    /// Between SIGTERM and SIGKILL (Docker: 10 s).
    std::chrono::milliseconds stop_grace{10'000};
    /// After SIGKILL: how long an end is waited for that only the kernel can hold up.
    std::chrono::milliseconds kill_patience{10'000};
};

/// Keeps managed plugins as they are wanted: starts, watches, restarts and stops them. Of one plugin there is never
/// more than one run. Thread: the core loop's; callbacks come from there. The scheduler and the runner outlive it; no
/// callback may destroy it. What is still waited for when it is destroyed is not called any more.
class Supervisor {
public:
    /// Told after each change of a plugin's run. May call this object again.
    using Changed = std::function<void(const std::string& id, const PluginRun& run)>;

    enum class Mode : std::uint8_t {
        trial,  ///< an end or a failed start is final: the plugin is off then, with the reason
        kept,   ///< it is started again, for as long as it takes
    };

    /// Asks the runner for survivors here and never again; they run on as they are until run() or a stop names them.
    Supervisor(Scheduler& scheduler, PluginRunner& runner, SupervisorSettings settings, Changed changed);
    /// Leaves all plugins running.
    ~Supervisor();
    Supervisor(const Supervisor&) = delete;
    Supervisor& operator=(const Supervisor&) = delete;

    /// Wants the plugin to run. One that runs already (also one that an earlier brokerd started) is kept as it is; the
    /// record is used from its next start on, and the mode from now on. One that is stopping is started again after
    /// its end. One that waits for its next attempt is started now if the record is another one, with pauses as at
    /// first, else when its time has come. A survivor that has ended before it could be taken over is started like any
    /// other.
    void run(PluginRecordPtr plugin, Mode mode);

    /// Wants the plugin not to run: SIGTERM, after stop_grace SIGKILL. `done`, which may be empty, is called once
    /// nothing is left of it; at once (not before this returns) where it does not run; and before another start of it
    /// that was asked for meanwhile. A start that is under way is waited for and then undone. Works also for survivors.
    ///
    /// What SIGKILL does not end within kill_patience hangs in the kernel, mostly on a mount whose server does not
    /// answer, and nobody knows for how long: `done` is then called nevertheless, with the phase `failed` and a reason
    /// that says so, lest disable, rm and shutdown hang, too. The plugin may be removed from the store and from sight
    /// (forget()); should it end one day, the phase becomes off, and what has been asked for since (run()) is done
    /// then. Another stop() sends SIGKILL and waits again.
    void stop(const std::string& id, std::function<void()> done);

    /// Stops it and starts it again without a pause (kept or trial as before), for `reason`; counts as a restart.
    /// Nothing where it is being started or stopped already, waits for its next attempt, or is not wanted.
    void restart(const std::string& id, std::string reason);

    /// It has answered its handshake: from starting to running, once the runner has told of the start. Nothing in other
    /// phases.
    void answered(const std::string& id);

    /// Stops the plugins that an earlier brokerd left running and that nobody has wanted by now. `done` as in stop().
    void stop_unwanted_survivors(std::function<void()> done);

    /// Stops all, side by side.
    void stop_all(std::function<void()> done);

    /// Off where it has never been heard of, and for a survivor that nobody has named yet.
    [[nodiscard]] PluginRun find(const std::string& id) const;
    /// Forgets a plugin that is off or could not be ended, with its counts and reason: it has been removed. Nothing in
    /// other phases, and while it is wanted.
    void forget(const std::string& id);

private:
    class Supervised;

    [[nodiscard]] Supervised* find_plugin(const std::string& id) const;
    void stop_each(const std::function<bool(const Supervised&)>& chosen, std::function<void()> done);
    /// Calls `done`, unless empty, from the scheduler.
    void post(std::function<void()> done);

    Scheduler& scheduler_;
    PluginRunner& runner_;
    const SupervisorSettings settings_;
    const Changed changed_;
    std::map<std::string, std::shared_ptr<Supervised>> plugins_;  ///< by ID
    std::map<std::uint64_t, std::unique_ptr<Scheduler::Timer>> posted_;
    std::uint64_t next_post_ = 0;
};

}  // namespace brokerd
