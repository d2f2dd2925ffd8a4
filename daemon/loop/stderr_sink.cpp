#include "daemon/loop/stderr_sink.h"

#include <fmt/format.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace brokerd {
namespace {

/// Ours: a pipe that poll(2) calls writable takes PIPE_BUF bytes without waiting (pipe(7)).
constexpr std::size_t kMostBytes = PIPE_BUF;

bool is_ready(int fd, std::chrono::milliseconds patience) {
    pollfd ready{fd, POLLOUT, 0};
    return poll(&ready, 1, static_cast<int>(patience.count())) != 0;  // what has failed takes every line and drops it
}

}  // namespace

bool is_journal_stream(int fd) {
    const char* const stream = std::getenv("JOURNAL_STREAM");  // NOLINT(concurrency-mt-unsafe): nobody sets it
    struct stat status {};
    return stream != nullptr && ::fstat(fd, &status) == 0 &&
           fmt::format("{}:{}", status.st_dev, status.st_ino) == stream;
}

std::string StderrSink::line(const LogEntry& entry, bool for_journal) {
    std::string line = for_journal ? fmt::format("<{}>", static_cast<int>(entry.level)) : std::string{};
    if (!for_journal && entry.level == LogLevel::error) line += "error: ";
    if (!for_journal && entry.level == LogLevel::warning) line += "warning: ";
    line += entry.message;
    if (line.size() >= kMostBytes) line.replace(kMostBytes - 4, std::string::npos, "...");
    std::replace_if(
        line.begin(), line.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; }, '?');
    return line + '\n';
}

bool StderrSink::try_write(const LogEntry& entry) {
    if (!is_ready(fd_, std::chrono::milliseconds{0})) return false;
    const std::string text = line(entry, is_journal_);
    // One write per line keeps lines of different threads apart; a full or closed stderr must not stop the daemon.
    [[maybe_unused]] const auto ignored = ::write(fd_, text.data(), text.size());
    return true;
}

void StderrSink::wait_for_room(std::chrono::milliseconds patience) noexcept {
    is_ready(fd_, patience);
}

}  // namespace brokerd
