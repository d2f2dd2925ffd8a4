#pragma once

#include <string>

#include "daemon/core/plugin_table.h"
#include "daemon/loop/core_loop.h"
#include "daemon/supervision/plugin_runs.h"

namespace brokerd {

/// The way from operations, which wait, to the core, which does not. Thread: construct and destroy on the core loop's,
/// while nobody waits; the rest from any other. The loop outlives it; the table is used on the loop only.
class WaitingPluginRuns final : public PluginRuns {
public:
    /// `plugins_directory`: where each plugin has one of its own, by ID.
    WaitingPluginRuns(CoreLoop& loop, PluginTable& plugins, std::string plugins_directory)
        : loop_{loop}, plugins_{plugins}, directory_{std::move(plugins_directory)} {}

    [[nodiscard]] std::optional<std::string> start(const PluginRecordPtr& plugin, std::chrono::seconds timeout,
                                                   int cancelled) override;
    std::optional<std::string> stop(const PluginRecordPtr& plugin, int cancelled) override;
    [[nodiscard]] std::optional<std::vector<std::string>> users(const PluginRecordPtr& plugin, int cancelled) override;

private:
    CoreLoop& loop_;
    PluginTable& plugins_;
    const std::string directory_;
};

}  // namespace brokerd
