#pragma once

#include <chrono>

#include "daemon/loop/log_entry.h"

namespace brokerd {

/// Where entries of the log go. Thread: one at a time.
class LogSink {
public:
    virtual ~LogSink() = default;

    /// Writes `entry` whole, if that does not mean waiting. False: there is no room now.
    [[nodiscard]] virtual bool try_write(const LogEntry& entry) = 0;
    /// Returns when there may be room, at the latest after `patience`.
    virtual void wait_for_room(std::chrono::milliseconds patience) noexcept = 0;
};

}  // namespace brokerd
