#pragma once

#include "daemon/core/managed_runs.h"

#include <catch2/catch.hpp>

#include "tests/fakes/fake_plugin_runner.h"
#include "tests/fakes/fake_transport.h"
#include "tests/unit/managed/store_fixture.h"

namespace brokerd::test {

using namespace std::chrono_literals;

inline const std::string kId(64, 'a');

/// What is offered to engines: at most one plugin, whose handshakes the test decides.
class FakeOffers final : public PluginOffers {
public:
    explicit FakeOffers(FakeScheduler& time) : transport{time}, time_{time} { transport.be_unreachable(); }

    void offer(PluginOffer offered) override {
        now = std::move(offered);
        way = std::make_unique<Activation>(time_, transport, ActivationSettings{}, [this](bool) {
            told_ = time_.after(0ms, [this, id = now->id] { changed(id); });
        });
        way->start();
    }
    void withdraw(const std::string&) override {
        now.reset();
        way.reset();
    }
    void report_down(const std::string&, const std::string& reason) override {
        if (way) way->report_down(reason, false);
    }
    [[nodiscard]] const Activation* activation(const std::string&) const override { return way.get(); }

    FakeTransport transport;
    std::optional<PluginOffer> now;
    std::unique_ptr<Activation> way;
    std::function<void(const std::string&)> changed;

private:
    FakeScheduler& time_;
    std::unique_ptr<Scheduler::Timer> told_;
};

/// ManagedRuns without a host: one plugin, which runs, answers and ends when the test says so.
struct Host {
    using Strings = std::vector<std::string>;
    using Problem = std::optional<std::string>;

    FakeScheduler time;
    FakePluginRunner runner;
    FakeOffers offers{time};
    Strings told;
    std::string diagnosis = "it runs, but does not listen at /run/docker/plugins/p.sock";
    std::string last_try;
    std::unique_ptr<Scheduler::Timer> diagnosed;
    ManagedRuns runs{time,
                     runner,
                     {},
                     {"/state/plugins", "/run/exec"},
                     offers,
                     [this](pid_t, const std::string&, const std::string&, const std::string& tried,
                            std::function<void(std::string)> then) {
                         last_try = tried;
                         diagnosed = time.after(1ms, [this, then] { then(diagnosis); });
                     },
                     [this](const PluginRecord& plugin, const std::string& state, const std::string& reason) {
                         told.push_back(plugin.name + " " + state + (reason.empty() ? "" : ": " + reason));
                     }};

    Host() {
        offers.changed = [this](const std::string& id) { runs.on_activation(id); };
    }

    [[nodiscard]] static PluginRecordPtr plugin(bool enabled, const std::string& name = "p:latest") {
        PluginRecord made = make_record(name, "made for a test");
        made.id = kId;
        made.enabled = enabled;
        return std::make_shared<const PluginRecord>(std::move(made));
    }
    [[nodiscard]] std::string state() const {
        PluginView view;
        view.id = kId;
        runs.complete(view);
        return view.state;
    }
    void let_answer() {
        offers.transport.answer(R"({"Implements": ["VolumeDriver"]})");
        offers.way->poke();
        time.advance(100ms);
    }
    /// Starts a trial; its result is in `answers`.
    void start(std::chrono::milliseconds timeout = 30s) {
        runs.start(plugin(true), timeout, [this](Problem problem) { answers.push_back(std::move(problem)); });
    }
    std::vector<Problem> answers;
};

inline PluginExit exited(int status) {
    PluginExit exit;
    exit.kind = PluginExit::Kind::exited;
    exit.status = status;
    return exit;
}

}  // namespace brokerd::test
