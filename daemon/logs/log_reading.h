#pragma once

#include "daemon/logs/plugin_logs.h"

/// The two places of logs, behind PluginLogs: see there. Thread: any that may wait.
namespace brokerd {

/// From the files of one plugin's directory, which is made where it is to be followed and is not there yet.
[[nodiscard]] std::optional<std::string> read_log_files(const std::string& directory, const LogQuery& query,
                                                        int cancelled, const PluginLogs::Take& take);

/// From this host's journal.
[[nodiscard]] std::optional<std::string> read_journal(const std::string& id, const LogQuery& query, int cancelled,
                                                      const PluginLogs::Take& take);

}  // namespace brokerd
