#pragma once

#include <fmt/format.h>

#include <string_view>

namespace brokerd {

/// syslog(3) priorities, under the names that --log-level takes.
enum class LogLevel : int { error = 3, warning = 4, info = 6, debug = 7 };

/// What is less urgent than `level` is dropped from now on. Any thread.
void set_log_level(LogLevel level) noexcept;
[[nodiscard]] bool logs(LogLevel level) noexcept;

/// One line to where the log goes; log_entry.h is for lines with fields. Does not look at the level. Any thread.
void write_log(LogLevel level, std::string_view text) noexcept;

template <class... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
    write_log(LogLevel::error, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
    if (logs(LogLevel::warning)) write_log(LogLevel::warning, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
    if (logs(LogLevel::info)) write_log(LogLevel::info, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_debug(fmt::format_string<Args...> format, Args&&... args) {
    if (logs(LogLevel::debug)) write_log(LogLevel::debug, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace brokerd
