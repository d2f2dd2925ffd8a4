#include "daemon/shim/memory_watch.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string>
#include <string_view>

namespace brokerd {
namespace {

constexpr std::size_t kMaxFigures = 16384;

/// What fits into `buffer` of a file of the kernel's.
std::string_view read_start(int file, std::array<char, kMaxFigures>& buffer) {
    const ssize_t got = pread(file, buffer.data(), buffer.size(), 0);
    return {buffer.data(), got > 0 ? static_cast<std::size_t>(got) : 0};
}

/// The path of the hierarchy that has the memory controller (cgroups(7)): "N:controllers:path"; v2 has no controllers.
struct MemoryCgroup {
    std::string v1;
    std::string v2;
};

MemoryCgroup memory_cgroup(std::string_view table) {
    MemoryCgroup found;
    while (!table.empty()) {
        const std::string_view line = table.substr(0, table.find('\n'));
        table.remove_prefix(std::min(table.size(), line.size() + 1));
        const std::size_t first = line.find(':');
        const std::size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
        if (second == std::string_view::npos) continue;
        const std::string controllers = ',' + std::string{line.substr(first + 1, second - first - 1)} + ',';
        const std::string path{line.substr(second + 1)};
        if (path.find("/../") != std::string::npos) continue;  // outside of what this process sees
        if (controllers == ",,") found.v2 = path;
        if (controllers.find(",memory,") != std::string::npos) found.v1 = path;
    }
    return found;
}

UniqueFd open_figures(const std::string& path) {
    return UniqueFd{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
}

}  // namespace

MemoryWatch::MemoryWatch(pid_t process, std::string_view cgroup) {
    const UniqueFd table = open_figures("/proc/" + std::to_string(process) + "/cgroup");
    if (!table) return;
    std::array<char, kMaxFigures> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init): read() fills it
    MemoryCgroup its = memory_cgroup(read_start(table.get(), buffer));
    if (its.v1 == "/") its.v1 = cgroup;
    if (!its.v1.empty()) {
        figures_ = open_figures("/sys/fs/cgroup/memory" + its.v1 + "/memory.oom_control");
    } else if (!its.v2.empty()) {
        figures_ = open_figures("/sys/fs/cgroup" + its.v2 + "/memory.events");
        tells_ = static_cast<bool>(figures_);
    }
    update();
}

void MemoryWatch::update() {
    if (!figures_) return;
    std::array<char, kMaxFigures> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init): read() fills it
    const std::string figures = '\n' + std::string{read_start(figures_.get(), buffer)};
    const std::size_t at = figures.find("\noom_kill ");
    if (at != std::string::npos && std::strtoull(&figures[at + 10], nullptr, 10) > 0) killed_ = true;
}

}  // namespace brokerd
