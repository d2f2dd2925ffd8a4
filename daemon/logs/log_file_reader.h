#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "common/os/unique_fd.h"
#include "daemon/logs/plugin_logs.h"

namespace brokerd {

/// Reads one log file (log_files.h) from its beginning, as far as it has been written. Lines that are not of its form
/// are left out: a power cut may have left them. Thread: one.
class LogFileReader {
public:
    /// No file: no lines.
    LogFileReader() = default;
    /// Opens `name` in the directory, if it is there.
    LogFileReader(int directory, const char* name);

    /// Hands on what has been added since the last call. False: `take` wants no more.
    [[nodiscard]] bool read(const PluginLogs::Take& take);

    /// 0: there is no file. Inode numbers are not used again while a file is open.
    [[nodiscard]] ino_t inode() const noexcept { return inode_; }

private:
    [[nodiscard]] bool hand_on_lines(const PluginLogs::Take& take);

    UniqueFd file_;
    ino_t inode_ = 0;
    std::string pending_;    ///< begun, and not ended yet
    bool skipping_ = false;  ///< within a line that is too long
};

/// The inode number of `name` in the directory; 0: there is no such file.
[[nodiscard]] ino_t inode_of(int directory, const char* name);

}  // namespace brokerd
