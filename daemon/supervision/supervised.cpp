#include "daemon/supervision/supervised.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/duration_text.h"
#include "common/plugin_name.h"
#include "common/secrets.h"

namespace brokerd {
namespace {

using std::chrono::milliseconds;
using Phase = PluginRun::Phase;

/// What goes between how a plugin ended and its last words. That it runs is reported a little late, so that its end may
/// come before; where the wall clock has been set back meanwhile, nothing is said.
std::string life_text(milliseconds ran) {
    if (ran < -std::chrono::minutes{1}) return {};
    return ran < milliseconds{10} ? " right after its start" : fmt::format(" {} after its start", duration_text(ran));
}

bool same_record(const PluginRecordPtr& one, const PluginRecordPtr& other) {
    return one == other || (one && other && *one == *other);
}

}  // namespace

Supervisor::Supervised::Supervised(Supervisor& owner, std::string id, bool survivor)
    : owner_{owner}, id_{std::move(id)}, survivor_{survivor}, pause_{owner.settings_.first_pause} {}

void Supervisor::Supervised::want(PluginRecordPtr record, Mode mode) {
    const bool another = !same_record(record_, record);
    if (!wanted_) run_.restarts = 0;
    if (!wanted_ || another) pause_ = owner_.settings_.first_pause;
    record_ = std::move(record);
    mode_ = mode;
    wanted_ = true;
    forgotten_ = false;
    switch (activity_) {
        case Activity::nothing:
            return launch({});
        case Activity::waiting:
            if (another) launch({});
            return;
        case Activity::stuck:
            return enter(Phase::failed, stuck_text());
        case Activity::launching:  // to be undone, perhaps: settling launches it again
        case Activity::alive:
        case Activity::ending:
        case Activity::settling:
            return;
    }
}

void Supervisor::Supervised::stop(std::function<void()> done) {
    if (done) dones_.push_back(std::move(done));
    wanted_ = false;
    const bool was_restarted = std::exchange(restart_reason_, std::nullopt).has_value();
    switch (activity_) {
        case Activity::nothing:
            if (!survivor_) return settle();
            begin_launch();
            [[fallthrough]];
        case Activity::launching:
            undo_launch_ = true;
            return enter(Phase::stopping, {});
        case Activity::waiting:
            return settle();
        case Activity::alive:
            return begin_end({});
        case Activity::ending:
            if (was_restarted) enter(Phase::stopping, {});
            return;
        case Activity::stuck:
            return kill();
        case Activity::settling:
            return;
    }
}

void Supervisor::Supervised::restart(std::string reason) {
    if (activity_ != Activity::alive) return;
    restart_reason_ = reason;
    begin_end(std::move(reason));
}

void Supervisor::Supervised::answered() {
    if (activity_ != Activity::launching && activity_ != Activity::alive) return;
    if (std::exchange(answered_, true) || activity_ == Activity::launching) return;
    answered_at_ = owner_.scheduler_.now();
    enter(Phase::running, {});
}

bool Supervisor::Supervised::forget() {
    if (activity_ == Activity::nothing) return !survivor_;
    if (activity_ == Activity::stuck || activity_ == Activity::settling) forgotten_ = !wanted_;
    return false;
}

void Supervisor::Supervised::launch(std::string reason) {
    begin_launch();
    enter(Phase::starting, std::move(reason));
}

void Supervisor::Supervised::begin_launch() {
    timer_.reset();
    activity_ = Activity::launching;
    undo_launch_ = false;
    answered_ = false;
    const bool adopted = std::exchange(survivor_, false);
    // Weak: the runner may call back after the supervisor has gone; what it hands over is then left running, unwatched.
    const auto started = [weak = weak_from_this(), adopted](Result<std::unique_ptr<RunningPlugin>> result) {
        if (const auto self = weak.lock()) self->on_started(std::move(result), adopted);
    };
    const auto ended = [weak = weak_from_this()](PluginExit exit) {
        if (const auto self = weak.lock()) self->on_ended(std::move(exit));
    };
    if (adopted) {
        owner_.runner_.adopt(id_, started, ended);
    } else {
        owner_.runner_.start(record_, started, ended);
    }
}

void Supervisor::Supervised::on_started(Result<std::unique_ptr<RunningPlugin>> result, bool adopted) {
    if (!result) return on_no_start(result.error().message, adopted);
    plugin_ = *std::move(result);
    run_.pid = plugin_->pid();
    run_.started = plugin_->started();
    if (undo_launch_) return begin_end({});
    activity_ = Activity::alive;
    if (!answered_) return enter(Phase::starting, run_.reason);
    answered_at_ = owner_.scheduler_.now();
    enter(Phase::running, {});
}

void Supervisor::Supervised::on_no_start(const std::string& reason, bool adopted) {
    if (undo_launch_) return settle();
    if (adopted) return launch({});  // it ended while nobody looked: as if brokerd had found nothing at its start
    const std::string shown = without_its_secrets(reason);
    if (mode_ == Mode::trial) return give_up(shown);
    wait(Phase::failed, shown);
}

void Supervisor::Supervised::on_ended(PluginExit exit) {
    timer_.reset();
    plugin_.reset();
    if (exit.at == std::chrono::system_clock::time_point{}) exit.at = owner_.scheduler_.wall_clock();
    exit.last_words = without_its_secrets(std::move(exit.last_words));
    const std::string reason = end_text(exit);
    run_.last_exit = std::move(exit);
    run_.pid = 0;
    run_.started = {};
    if (activity_ != Activity::alive) {
        if (!restart_reason_) return settle();
        ++run_.restarts;
        return launch(*std::exchange(restart_reason_, std::nullopt));
    }
    if (mode_ == Mode::trial) return give_up(reason);
    const bool stable = answered_ && owner_.scheduler_.now() - answered_at_ >= owner_.settings_.stable_after;
    if (stable) pause_ = owner_.settings_.first_pause;
    wait(Phase::restarting, reason);
}

void Supervisor::Supervised::wait(Phase phase, std::string reason) {
    ++run_.restarts;
    activity_ = Activity::waiting;
    const auto pause = std::exchange(pause_, std::min(pause_ * 2, owner_.settings_.longest_pause));
    timer_ = owner_.scheduler_.after(pause, [this] { launch(run_.reason); });
    run_.next_attempt = owner_.scheduler_.now() + pause;
    enter(phase, std::move(reason));
}

void Supervisor::Supervised::give_up(std::string reason) {
    activity_ = Activity::nothing;
    wanted_ = false;
    enter(Phase::off, std::move(reason));
}

void Supervisor::Supervised::begin_end(std::string reason) {
    activity_ = Activity::ending;
    start_timer(owner_.settings_.stop_grace, &Supervised::kill);
    plugin_->terminate();
    enter(Phase::stopping, std::move(reason));
}

void Supervisor::Supervised::kill() {
    activity_ = Activity::ending;
    start_timer(owner_.settings_.kill_patience, &Supervised::get_stuck);
    plugin_->kill();
    enter(Phase::stopping, fmt::format("it did not end within {} of SIGTERM and was sent SIGKILL",
                                       duration_text(owner_.settings_.stop_grace)));
}

void Supervisor::Supervised::get_stuck() {
    activity_ = Activity::stuck;
    start_timer(milliseconds{0}, &Supervised::tell_next);
    enter(Phase::failed, stuck_text());
}

/// One at a time: one that throws takes no other with it.
void Supervisor::Supervised::tell_next() {
    timer_.reset();
    if (dones_.empty()) {
        if (activity_ == Activity::settling) settled();
        return;
    }
    start_timer(milliseconds{0}, &Supervised::tell_next);
    const auto done = std::move(dones_.front());
    dones_.pop_front();
    done();
}

void Supervisor::Supervised::settle() {
    const bool was_off = run_.phase == Phase::off;
    activity_ = Activity::settling;
    start_timer(milliseconds{0}, &Supervised::tell_next);
    if (!was_off) enter(Phase::off, {});
}

void Supervisor::Supervised::settled() {
    const auto self = shared_from_this();
    activity_ = Activity::nothing;
    if (forgotten_) {
        owner_.plugins_.erase(id_);
    } else if (wanted_) {
        launch({});
    }
}

std::string Supervisor::Supervised::without_its_secrets(std::string text) const {
    return record_ ? without(std::move(text), secret_values(record_->settings)) : text;
}

std::string Supervisor::Supervised::end_text(const PluginExit& exit) const {
    const auto ran = std::chrono::duration_cast<milliseconds>(exit.at - run_.started);
    const std::string span = life_text(ran);
    const std::string words = exit.last_words.empty() ? "" : ": " + escaped(exit.last_words, PluginExit::kShownWords);
    return fmt::format("it {}{}{}", exit.how(), span, words);
}

std::string Supervisor::Supervised::stuck_text() const {
    return fmt::format(
        "its process {} has not ended {} after SIGKILL: the kernel holds it, mostly for a mount or a device "
        "that does not answer{}",
        run_.pid, duration_text(owner_.settings_.kill_patience),
        wanted_ ? "; it is started again as soon as it has ended" : "");
}

void Supervisor::Supervised::start_timer(milliseconds delay, void (Supervised::*then)()) {
    timer_ = owner_.scheduler_.after(delay, [this, then] { (this->*then)(); });
}

void Supervisor::Supervised::enter(Phase phase, std::string reason) {
    if (phase != run_.phase) run_.since = owner_.scheduler_.wall_clock();
    if (activity_ != Activity::waiting) run_.next_attempt.reset();
    run_.phase = phase;
    run_.reason = std::move(reason);
    if (forgotten_ || !owner_.changed_) return;
    const auto self = shared_from_this();  // it may be forgotten meanwhile
    owner_.changed_(id_, run_);
}

}  // namespace brokerd
