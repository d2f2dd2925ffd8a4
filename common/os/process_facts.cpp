#include "common/os/process_facts.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <ctime>
#include <string_view>

#include "common/os/unique_fd.h"
#include "common/plugin_name.h"

namespace brokerd {
namespace {

/// The beginning of a file in /proc; empty where it cannot be read.
std::string proc_text(pid_t pid, std::string_view file, std::size_t limit) {
    const UniqueFd opened{::open(fmt::format("/proc/{}/{}", pid, file).c_str(), O_RDONLY | O_CLOEXEC)};
    if (!opened) return {};
    std::string text(limit, '\0');
    ssize_t count = 0;
    do count = ::read(opened.get(), text.data(), text.size());
    while (count < 0 && errno == EINTR);
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    return text;
}

}  // namespace

std::optional<std::uint64_t> process_start(pid_t pid) {
    // The name in parentheses is the process's own choice, and may hold blanks and parentheses: count from its end.
    constexpr std::size_t kStatBytes = 1024;
    constexpr int kFieldsBetween = 20;  // of the fields after the name, starttime is the 20th
    const std::string stat = proc_text(pid, "stat", kStatBytes);
    std::size_t at = stat.rfind(')');
    for (int field = 0; field < kFieldsBetween && at != stat.npos; ++field) at = stat.find(' ', at + 1);
    if (at == stat.npos) return std::nullopt;
    std::uint64_t ticks = 0;
    const auto [end, error] = std::from_chars(stat.data() + at + 1, stat.data() + stat.size(), ticks);
    return error == std::errc{} ? std::optional{ticks} : std::nullopt;
}

std::uint64_t ticks_since_boot() {
    timespec now{};
    ::clock_gettime(CLOCK_BOOTTIME, &now);
    static const auto kTicksPerSecond = static_cast<std::uint64_t>(std::max<long>(::sysconf(_SC_CLK_TCK), 1));
    constexpr std::uint64_t kNanoseconds = 1'000'000'000;
    return static_cast<std::uint64_t>(now.tv_sec) * kTicksPerSecond +
           static_cast<std::uint64_t>(now.tv_nsec) * kTicksPerSecond / kNanoseconds;
}

std::string process_name(pid_t pid) {
    constexpr std::size_t kNameBytes = 64;
    std::string name = proc_text(pid, "comm", kNameBytes);
    if (name.ends_with('\n')) name.pop_back();
    return escaped(name);
}

std::string process_label(pid_t pid, const std::string& name) {
    return fmt::format("{} (pid {})", name.empty() ? "a process" : name, pid);
}

}  // namespace brokerd
