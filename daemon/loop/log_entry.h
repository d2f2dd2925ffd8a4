#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/message_id.h"
#include "daemon/loop/log.h"

namespace brokerd {

class LogQueue;

/// One line of the log, with what programs look for in the journal.
struct LogEntry {
    /// `name` is one of the journal's (capital letters and underscores, never from outside); `value` may be any bytes.
    struct Field {
        std::string_view name;
        std::string value;
    };

    LogLevel level = LogLevel::info;
    std::string message;  ///< one sentence for a person
    MessageId id{};       ///< empty: nothing that anybody looks for
    std::vector<Field> fields{};
};

/// Writes `entry`, if its level is logged, where the log goes: to the LogQueue that is installed, and without one to
/// stderr. Any thread.
void log_entry(LogEntry entry) noexcept;

/// From now on, until it is destroyed, all that is logged goes to `queue`. One at a time; construct it before the other
/// threads that log, destroy it after them.
class InstalledLog {
public:
    explicit InstalledLog(LogQueue& queue) noexcept;
    ~InstalledLog();
    InstalledLog(const InstalledLog&) = delete;
    InstalledLog& operator=(const InstalledLog&) = delete;
};

}  // namespace brokerd
