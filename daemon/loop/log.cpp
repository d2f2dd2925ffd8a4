#include "daemon/loop/log.h"

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string>

namespace brokerd {
namespace {

// The one process-wide setting of the daemon: a logger handed to every object would be a parameter that never varies.
// NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables)
std::atomic<int> threshold{static_cast<int>(LogLevel::info)};

}  // namespace

void set_log_level(LogLevel level) noexcept {
    threshold.store(static_cast<int>(level), std::memory_order_relaxed);
}

bool logs(LogLevel level) noexcept {
    return static_cast<int>(level) <= threshold.load(std::memory_order_relaxed);
}

void write_log(LogLevel level, std::string_view text) noexcept {
    try {
        // systemd.exec(5): set where stderr is connected to the journal, which understands priority prefixes.
        static const bool to_journal =
            std::getenv("JOURNAL_STREAM") != nullptr;  // NOLINT(concurrency-mt-unsafe): nobody sets it
        std::string line = to_journal ? fmt::format("<{}>", static_cast<int>(level)) : std::string{};
        if (!to_journal && level == LogLevel::error) line += "error: ";
        if (!to_journal && level == LogLevel::warning) line += "warning: ";
        line += text;
        line += '\n';
        // One write per line keeps lines of different threads apart; a full or closed stderr must not stop the daemon.
        [[maybe_unused]] const auto ignored = ::write(STDERR_FILENO, line.data(), line.size());
    } catch (...) {  // NOLINT(bugprone-empty-catch): out of memory while logging: there is nobody left to tell
    }
}

}  // namespace brokerd
