#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

#include "daemon/loop/log_sink.h"

namespace brokerd {

/// The log of the whole process, for which nobody waits: not for a journald that is stopped, nor for a terminal that
/// is. What finds no room in the sink is kept, up to a limit, and leaves as soon as there is some, in order; what comes
/// beyond the limit is lost, counted, and told of. Thread: any.
class LogQueue {
public:
    struct Limits {
        std::size_t bytes = std::size_t{1} << 20U;      ///< ours: thousands of lines, some seconds of the worst flood
        std::chrono::milliseconds pause{1000};          ///< between two tries where nothing says that there is room
        std::chrono::milliseconds last_patience{1000};  ///< the destructor's: a log is not worth a hanging stop
    };

    explicit LogQueue(std::unique_ptr<LogSink> sink);
    LogQueue(std::unique_ptr<LogSink> sink, Limits limits);
    ~LogQueue();
    LogQueue(const LogQueue&) = delete;
    LogQueue& operator=(const LogQueue&) = delete;

    /// Writes `entry` at once where there is room and nothing waits before it: what has been logged before a crash is
    /// then in the log.
    void write(LogEntry entry) noexcept;

private:
    void run();
    void write_kept();
    [[nodiscard]] static LogEntry lost_entry(std::uint64_t lost);
    [[nodiscard]] static std::size_t size_of(const LogEntry& entry) noexcept;

    const std::unique_ptr<LogSink> sink_;
    const Limits limits_;
    std::mutex mutex_;  ///< guards what follows, and the sink but for waiting, which only thread_ does
    std::condition_variable news_;
    std::deque<LogEntry> kept_;
    std::size_t kept_bytes_ = 0;
    std::uint64_t lost_ = 0;  ///< after all that is kept
    bool over_ = false;
    std::thread thread_;
};

}  // namespace brokerd
