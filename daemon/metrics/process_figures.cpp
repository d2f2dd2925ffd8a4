#include "daemon/metrics/process_figures.h"

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

namespace brokerd {
namespace {

/// proc(5), /proc/PID/stat: the fields from the third on, after the name, which may hold anything.
struct StatFields {
    std::uint64_t threads = 0;
    std::uint64_t start_ticks = 0;  ///< since boot
    std::uint64_t virtual_bytes = 0;
    std::uint64_t resident_pages = 0;
};

StatFields read_stat() {
    std::ifstream file{"/proc/self/stat"};
    const std::string text{std::istreambuf_iterator<char>{file}, {}};
    const std::size_t name_end = text.rfind(')');
    if (name_end == text.npos) return {};
    std::istringstream rest{text.substr(name_end + 1)};
    StatFields fields;
    std::string word;
    for (int field = 3; field <= 24 && rest >> word; ++field) {
        if (field == 20) fields.threads = std::stoull(word);
        if (field == 22) fields.start_ticks = std::stoull(word);
        if (field == 23) fields.virtual_bytes = std::stoull(word);
        if (field == 24) fields.resident_pages = std::stoull(word);
    }
    return fields;
}

/// /proc/stat's btime: when the host was booted, in seconds since the epoch.
double boot_time() {
    std::ifstream file{"/proc/stat"};
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("btime ")) return std::stod(line.substr(6));
    }
    return 0;
}

std::uint64_t count_descriptors() {
    std::error_code problem;
    const std::filesystem::directory_iterator entries{"/proc/self/fd", problem};
    if (problem) return 0;
    const auto count = std::distance(begin(entries), end(entries));
    return count > 0 ? static_cast<std::uint64_t>(count - 1) : 0;  // one is the directory's own
}

std::uint64_t descriptor_limit() {
    rlimit limit{};
    return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}

double cpu_seconds() {
    timespec used{};
    if (::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) != 0) return 0;
    return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

}  // namespace

ProcessFigures read_process_figures() {
    const StatFields stat = read_stat();
    ProcessFigures figures;
    figures.cpu_seconds = cpu_seconds();
    figures.start_time =
        boot_time() + static_cast<double>(stat.start_ticks) / static_cast<double>(::sysconf(_SC_CLK_TCK));
    figures.open_fds = count_descriptors();
    figures.max_fds = descriptor_limit();
    figures.virtual_bytes = stat.virtual_bytes;
    figures.resident_bytes = stat.resident_pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    figures.threads = stat.threads;
    return figures;
}

}  // namespace brokerd
