#include <array>
#include <catch2/catch.hpp>
#include <random>
#include <set>

#include "tests/unit/supervision/supervision_fixture.h"

using namespace brokerd;
using namespace brokerd::test;
using namespace std::chrono_literals;

// Events in random order, also from within callbacks. After each: what a plugin is said to do is what the runner knows.
// In the end: what was asked for last is in force, and everybody who waited has been told, once.

namespace {

using Phase = PluginRun::Phase;
using Mode = Supervisor::Mode;

class Walk {
public:
    explicit Walk(unsigned seed) : random_{seed} {
        for (const std::string& id : kIds) {
            if (chance(3)) runner_.left_running.push_back(id);
        }
        survivors_ = {runner_.left_running.begin(), runner_.left_running.end()};
        supervisor_.emplace(time_, runner_, SupervisorSettings{},
                            [this](const std::string& id, const PluginRun&) { on_change(id); });
    }

    void step() {
        chance(2) ? ask(any_id()) : happen(any_id());
        for (const std::string& id : kIds) check(id);
    }

    /// Lets everything end that is under way, and looks at what is left.
    void finish() {
        rest_ = true;
        for (int i = 0; i < 100; ++i) {
            for (const std::string& id : kIds) progress(id);
            time_.advance(1s);
        }
        for (const std::string& id : kIds) {
            check(id);
            INFO(id << ": " << to_text(seen(id).phase) << ", " << seen(id).reason);
            const Phase phase = seen(id).phase;
            if (phase == Phase::off) CHECK_FALSE(runner_.has(id));
            if (!wishes_.contains(id)) continue;
            if (wishes_[id] == Wish::kept) CHECK((phase == Phase::starting || phase == Phase::running));
            if (wishes_[id] == Wish::stopped) CHECK(phase == Phase::off);
            if (survivors_.contains(id)) CHECK(runner_.adoptions[id] == 1);
        }
        for (const int calls : dones_) CHECK(calls == 1);
    }

private:
    /// What was asked for last. A trial may have ended, or not.
    enum class Wish { stopped, trial, kept };
    const std::array<std::string, 3> kIds{"a", "b", "c"};

    unsigned below(unsigned count) { return std::uniform_int_distribution<unsigned>{0, count - 1}(random_); }
    bool chance(unsigned of) { return below(of) == 0; }
    const std::string& any_id() { return kIds.at(static_cast<unsigned>(random_()) % kIds.size()); }
    [[nodiscard]] PluginRun seen(const std::string& id) const { return supervisor_->find(id); }

    std::function<void()> new_done(const std::vector<std::string>& ids) {
        const std::size_t number = dones_.size();
        dones_.push_back(0);
        return [this, number, ids] {
            ++dones_.at(number);
            for (const std::string& id : ids) {
                const bool stuck = runner_.has(id) && runner_.of(id).kills > 0;
                // Several are stopped side by side: one of them may have been started again before the last has ended.
                if (ids.size() == 1 && !stuck) CHECK_FALSE(runner_.has(id));
            }
            if (!rest_ && chance(3)) ask(any_id());
        };
    }

    void stop(const std::string& id) {
        wishes_[id] = Wish::stopped;
        supervisor_->stop(id, chance(5) ? std::function<void()>{} : new_done({id}));
    }

    /// Something that the core asks for.
    void ask(const std::string& id) {
        switch (below(10)) {
            case 0:
            case 1:
            case 2:
                wishes_[id] = Wish::kept;
                return supervisor_->run(plugin_record(id, below(3)), Mode::kept);
            case 3:
                wishes_[id] = Wish::trial;
                return supervisor_->run(plugin_record(id, below(3)), Mode::trial);
            case 4:
            case 5:
                return stop(id);
            case 6:
                return supervisor_->restart(id, "a restart");
            case 7:
                return supervisor_->answered(id);
            case 8:
                return supervisor_->forget(id);
            default:
                return ask_of_many();
        }
    }

    void ask_of_many() {
        if (!chance(10)) return;
        // Who is told of the first one's stop and asks for the second meets the rest of this call: only the clock tells
        // what was last.
        const bool rested = std::exchange(rest_, true);
        ask_of_all();
        rest_ = rested;
    }

    void ask_of_all() {
        const std::vector<std::string> ids{kIds.begin(), kIds.end()};
        if (chance(2)) {
            for (const std::string& id : ids) wishes_[id] = Wish::stopped;
            return supervisor_->stop_all(new_done(ids));
        }
        for (const std::string& id : ids) {
            if (survivors_.contains(id) && !wishes_.contains(id)) wishes_[id] = Wish::stopped;
        }
        supervisor_->stop_unwanted_survivors(new_done(ids));
    }

    /// Something that the plugin or the clock does.
    void happen(const std::string& id) {
        if (chance(3)) {
            constexpr std::array kTimes{0ms, 1ms, 100ms, 1'000ms, 10'000ms, 70'000ms};
            return time_.advance(kTimes.at(below(kTimes.size())));
        }
        if (!runner_.has(id)) return;
        if (runner_.is_launching(id)) return chance(3) ? runner_.refuse(id, "a refusal") : runner_.begin(id);
        runner_.end(id, exited(1, "last words"));
    }

    void progress(const std::string& id) {
        if (!runner_.has(id)) return;
        if (runner_.is_launching(id)) return runner_.begin(id);
        if (runner_.of(id).terms > 0) runner_.end(id);
    }

    void on_change(const std::string& id) {
        if (!rest_ && chance(6)) ask(chance(2) ? id : any_id());
    }

    void check(const std::string& id) {
        const PluginRun run = seen(id);
        const bool exists = runner_.has(id);
        INFO(id << ": " << to_text(run.phase) << ", " << run.reason);
        const bool waits = run.next_attempt.has_value();
        if (waits) CHECK((!exists && (run.phase == Phase::restarting || run.phase == Phase::failed)));
        if (waits) CHECK(*run.next_attempt - time_.now() <= 60s);
        if (run.phase == Phase::restarting) CHECK(waits);
        if (run.phase == Phase::failed && !waits) CHECK(runner_.of(id).kills > 0);
        if (run.phase == Phase::running) CHECK((runner_.of(id).watched && runner_.of(id).terms == 0));
        if (run.phase == Phase::starting) CHECK((exists && runner_.of(id).terms == 0));
        if (run.phase == Phase::stopping) CHECK((runner_.is_launching(id) || runner_.of(id).terms > 0));
        // Forgotten while the kernel holds it.
        if (run.phase == Phase::off && exists) CHECK(runner_.of(id).kills > 0);
        if (run.phase != Phase::off) CHECK((run.pid != 0) == (exists && !runner_.is_launching(id)));
        if (exists && runner_.of(id).record == nullptr) CHECK(runner_.adoptions[id] == 1);
    }

    std::minstd_rand random_;
    FakeScheduler time_;
    FakePluginRunner runner_;
    std::map<std::string, Wish> wishes_;
    std::set<std::string> survivors_;
    std::vector<int> dones_;
    bool rest_ = false;
    std::optional<Supervisor> supervisor_;
};

}  // namespace

TEST_CASE("whatever order events come in, a plugin does what was asked for last", "[supervision]") {
    for (unsigned seed = 1; seed <= 300; ++seed) {
        INFO("seed " << seed);
        Walk walk{seed};
        for (int i = 0; i < 200; ++i) walk.step();
        walk.finish();
    }
}
