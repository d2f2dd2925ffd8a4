#pragma once

#include <string>
#include <vector>

#include "daemon/supervision/plugin_runs.h"

namespace brokerd::test {

/// Starts and stops nothing, and notes what it was asked: "start NAME", "stop NAME".
class FakePluginRuns final : public PluginRuns {
public:
    std::optional<std::string> start(const PluginRecordPtr& plugin, std::chrono::seconds timeout, int) override {
        calls.push_back("start " + plugin->name);
        last_timeout = timeout;
        return start_problem;
    }
    std::optional<std::string> stop(const PluginRecordPtr& plugin, int) override {
        calls.push_back("stop " + plugin->name);
        return stop_problem;
    }
    std::optional<std::vector<std::string>> users(const PluginRecordPtr&, int) override { return using_it; }

    std::vector<std::string> calls;
    std::chrono::seconds last_timeout{};
    std::optional<std::string> start_problem;
    std::optional<std::string> stop_problem;
    std::optional<std::vector<std::string>> using_it = std::vector<std::string>{};  ///< nothing: given up
};

}  // namespace brokerd::test
