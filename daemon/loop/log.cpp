#include "daemon/loop/log.h"

#include <unistd.h>

#include <atomic>

#include "daemon/loop/log_entry.h"
#include "daemon/loop/log_queue.h"
#include "daemon/loop/stderr_sink.h"

namespace brokerd {
namespace {

// The two process-wide things of the daemon: a logger handed to every object would be a parameter that never varies.
// NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables)
std::atomic<int> threshold{static_cast<int>(LogLevel::info)};
// NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables)
std::atomic<LogQueue*> installed{nullptr};

}  // namespace

void set_log_level(LogLevel level) noexcept {
    threshold.store(static_cast<int>(level), std::memory_order_relaxed);
}

bool logs(LogLevel level) noexcept {
    return static_cast<int>(level) <= threshold.load(std::memory_order_relaxed);
}

InstalledLog::InstalledLog(LogQueue& queue) noexcept {
    installed.store(&queue);
}

InstalledLog::~InstalledLog() {
    installed.store(nullptr);
}

namespace {

void write(LogEntry entry) noexcept {
    if (LogQueue* const queue = installed.load()) return queue->write(std::move(entry));
    try {
        const std::string line = StderrSink::line(entry, is_journal_stream(STDERR_FILENO));
        // One write per line keeps lines of different threads apart; a full or closed stderr must not stop the daemon.
        [[maybe_unused]] const auto ignored = ::write(STDERR_FILENO, line.data(), line.size());
    } catch (...) {  // NOLINT(bugprone-empty-catch): out of memory while logging: there is nobody left to tell
    }
}

}  // namespace

void write_log(LogLevel level, std::string_view text) noexcept {
    try {
        write({level, std::string{text}});
    } catch (...) {  // NOLINT(bugprone-empty-catch): as above
    }
}

void log_entry(LogEntry entry) noexcept {
    if (logs(entry.level)) write(std::move(entry));
}

}  // namespace brokerd
