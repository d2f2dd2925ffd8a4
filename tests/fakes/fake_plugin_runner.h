#pragma once

#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "daemon/supervision/plugin_runner.h"

namespace brokerd {

/// Plugins that run, refuse to and end when a test says so. Throws where a PluginRunner's contract is broken: a second
/// run of a plugin, the adoption of what does not run.
class FakePluginRunner final : public PluginRunner {
public:
    /// What runs, or is being started, under one ID.
    struct Run {
        PluginRecordPtr record;  ///< none: adopted
        Started started;         ///< empty once told
        Ended ended;
        bool watched = false;  ///< the RunningPlugin exists
        unsigned terms = 0;
        unsigned kills = 0;
    };

    void start(PluginRecordPtr plugin, Started started, Ended ended) override {
        if (runs.contains(plugin->id)) throw std::logic_error{"a second run of plugin " + plugin->id};
        ++starts[plugin->id];
        runs[plugin->id] = std::make_shared<Run>(Run{plugin, std::move(started), std::move(ended)});
    }
    std::vector<std::string> survivors() override { return left_running; }
    void adopt(const std::string& id, Started started, Ended ended) override {
        if (runs.contains(id)) throw std::logic_error{"a second run of plugin " + id};
        ++adoptions[id];
        runs[id] = std::make_shared<Run>(Run{nullptr, std::move(started), std::move(ended)});
    }

    [[nodiscard]] bool has(const std::string& id) const { return runs.contains(id); }
    [[nodiscard]] bool is_launching(const std::string& id) const { return has(id) && runs.at(id)->started != nullptr; }
    [[nodiscard]] Run& of(const std::string& id) { return *runs.at(id); }

    /// The start, or the adoption, succeeds.
    void begin(const std::string& id) {
        const auto run = runs.at(id);
        const auto tell = std::exchange(run->started, nullptr);
        run->watched = true;
        tell(std::unique_ptr<RunningPlugin>{std::make_unique<Handle>(run, ++last_pid, start_time)});
    }
    void refuse(const std::string& id, const std::string& reason) {
        const auto run = runs.at(id);
        runs.erase(id);
        const auto tell = std::exchange(run->started, nullptr);
        tell(fail(reason));
    }
    /// It ends, for whatever reason, and nothing is left of it.
    void end(const std::string& id, PluginExit exit = {}) {
        const auto run = runs.at(id);
        if (run->started) throw std::logic_error{"an end before the start of plugin " + id};
        runs.erase(id);
        if (run->watched) run->ended(std::move(exit));
    }

    std::map<std::string, std::shared_ptr<Run>> runs;  ///< by ID
    std::map<std::string, unsigned> starts;
    std::map<std::string, unsigned> adoptions;
    std::vector<std::string> left_running;  ///< by an earlier brokerd
    pid_t last_pid = 100;
    std::chrono::system_clock::time_point start_time{};

private:
    struct Handle final : RunningPlugin {
        Handle(std::shared_ptr<Run> the_run, pid_t number, std::chrono::system_clock::time_point when)
            : run{std::move(the_run)}, pid_{number}, started_{when} {}
        ~Handle() override { run->watched = false; }
        [[nodiscard]] pid_t pid() const noexcept override { return pid_; }
        [[nodiscard]] std::chrono::system_clock::time_point started() const noexcept override { return started_; }
        void terminate() override { ++run->terms; }
        void kill() override { ++run->kills; }

        std::shared_ptr<Run> run;
        pid_t pid_;
        std::chrono::system_clock::time_point started_;
    };
};

}  // namespace brokerd
