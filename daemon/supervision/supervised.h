#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "daemon/supervision/supervisor.h"

namespace brokerd {

/// One plugin's state machine. PluginRun::Phase is what people are told; Activity is what is in hand, and decides.
///
///     nothing ──▶ launching ──▶ alive ──▶ ending ──▶ settling ──▶ nothing, or launching where it is wanted again
///       ▲            │   ▲        │          │           ▲
///       │    (fails) ▼   │        │          └▶ stuck ───┘
///       └─────────── waiting ◀────┘ (ends by itself; a trial goes back to nothing)
///
/// A stop is a promise: from then on the run in hand will end, whatever is asked for later, and those who wait for it
/// are told before the next run begins. So a start that is under way is remembered as one to undo, and a plugin that is
/// wanted again meanwhile is launched out of settling.
///
/// Every step sets all of its state, timers included, before it tells anybody, and does nothing afterwards: whoever is
/// told may call back, and may throw.
class Supervisor::Supervised final : public std::enable_shared_from_this<Supervised> {
public:
    Supervised(Supervisor& owner, std::string id, bool survivor);

    void want(PluginRecordPtr record, Mode mode);
    void stop(std::function<void()> done);
    void restart(std::string reason);
    void answered();
    /// Whether nothing keeps it from being dropped; otherwise it drops itself as soon as it can, if it is to.
    [[nodiscard]] bool forget();

    /// Off once it has been forgotten.
    [[nodiscard]] PluginRun run() const { return forgotten_ ? PluginRun{} : run_; }
    [[nodiscard]] bool unwanted_survivor() const noexcept { return survivor_ && activity_ == Activity::nothing; }

private:
    enum class Activity : std::uint8_t {
        nothing,
        launching,  ///< the runner starts or adopts it
        alive,      ///< it runs and has not been told to end
        waiting,    ///< `timer_` launches it again
        ending,     ///< it has been told to end; `timer_` makes it stronger
        stuck,      ///< SIGKILL has not ended it
        settling,   ///< it has ended as asked for; `timer_` tells those who waited
    };

    void launch(std::string reason);
    void begin_launch();
    void on_started(Result<std::unique_ptr<RunningPlugin>> result, bool adopted);
    void on_no_start(const std::string& reason, bool adopted);
    void on_ended(PluginExit exit);
    void wait(PluginRun::Phase phase, std::string reason);
    void give_up(std::string reason);

    void begin_end(std::string reason);
    void kill();
    void get_stuck();
    void tell_next();
    void settle();
    void settled();

    /// Events and lists repeat what the plugin said last; it may have said a password of its settings.
    [[nodiscard]] std::string without_its_secrets(std::string text) const;
    [[nodiscard]] std::string end_text(const PluginExit& exit) const;
    [[nodiscard]] std::string stuck_text() const;
    void start_timer(std::chrono::milliseconds delay, void (Supervised::*then)());
    void enter(PluginRun::Phase phase, std::string reason);

    Supervisor& owner_;
    const std::string id_;
    PluginRun run_;
    Activity activity_ = Activity::nothing;

    PluginRecordPtr record_;  ///< none: a survivor that nobody has wanted
    Mode mode_ = Mode::trial;
    bool wanted_ = false;
    bool survivor_;             ///< it runs, and the runner has not been asked to adopt it
    bool undo_launch_ = false;  ///< it has been stopped while launching
    bool answered_ = false;     ///< since the newest launch
    bool forgotten_ = false;
    std::optional<std::string> restart_reason_;  ///< while ending: launch it again, for this
    std::chrono::milliseconds pause_;            ///< the next one
    Scheduler::Clock::time_point answered_at_{};

    std::unique_ptr<RunningPlugin> plugin_;
    std::unique_ptr<Scheduler::Timer> timer_;
    std::deque<std::function<void()>> dones_;
};

}  // namespace brokerd
