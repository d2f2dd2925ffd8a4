#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/supervision/supervisor.h"
#include "tests/fakes/fake_plugin_runner.h"
#include "tests/fakes/fake_scheduler.h"

namespace brokerd::test {

inline PluginRecordPtr plugin_record(const std::string& id, std::uint64_t revision = 1) {
    PluginRecord record;
    record.id = id;
    record.revision = revision;
    return std::make_shared<const PluginRecord>(std::move(record));
}

inline PluginExit exited(int status, std::string words = {}) {
    return {PluginExit::Kind::exited, status, false, std::move(words), {}};
}

/// A supervisor with the plugin "a" to try things on.
struct SupervisionFixture {
    using Phase = PluginRun::Phase;
    using Mode = Supervisor::Mode;

    FakeScheduler time;
    FakePluginRunner runner;
    std::vector<Phase> phases;  ///< that were told of, of "a"
    std::function<void(const std::string& id, const PluginRun& run)> on_change;
    std::optional<Supervisor> supervisor;

    SupervisionFixture() { restart_brokerd({}); }

    /// Another supervisor, which finds these plugins running.
    void restart_brokerd(std::vector<std::string> survivors) {
        runner.left_running = std::move(survivors);
        supervisor.emplace(time, runner, SupervisorSettings{}, [this](const std::string& id, const PluginRun& run) {
            if (id == "a") phases.push_back(run.phase);
            if (on_change) on_change(id, run);
        });
    }

    void run(Mode mode = Mode::kept, std::uint64_t revision = 1) {
        supervisor->run(plugin_record("a", revision), mode);
    }
    /// It has been started and has answered.
    void bring_up(Mode mode = Mode::kept) {
        run(mode);
        runner.begin("a");
        supervisor->answered("a");
    }
    [[nodiscard]] PluginRun seen() const { return supervisor->find("a"); }
    /// How often `stop` was answered.
    std::shared_ptr<int> stop() {
        auto calls = std::make_shared<int>(0);
        supervisor->stop("a", [calls] { ++*calls; });
        return calls;
    }
    [[nodiscard]] std::chrono::nanoseconds pause() const { return *seen().next_attempt - time.now(); }
    void turn() { time.advance(std::chrono::nanoseconds{0}); }
};

}  // namespace brokerd::test
