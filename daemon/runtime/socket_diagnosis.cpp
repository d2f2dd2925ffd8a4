#include "daemon/runtime/socket_diagnosis.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <memory>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "common/os/unique_fd.h"

namespace brokerd {
namespace {

constexpr std::string_view kInside = "/run/docker/plugins/";  ///< where the plugin sees its socket directory
constexpr std::size_t kMaxEntries = 1024;                     ///< of the directory, and of the process's descriptors
constexpr std::size_t kMaxTableBytes = std::size_t{1} << 20;
constexpr std::size_t kMaxShown = 3;
constexpr std::size_t kMaxPathBytes = 108;  ///< of a Unix socket's address

using Directory = std::unique_ptr<DIR, int (*)(DIR*)>;

Directory open_directory(const std::string& path) {
    UniqueFd fd{open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
    Directory directory{fd ? fdopendir(fd.get()) : nullptr, &closedir};
    if (directory) [[maybe_unused]]
        const int now_its_own = fd.release();
    return directory;
}

std::string printable(std::string_view text) {
    std::string clean{text.substr(0, kMaxPathBytes)};
    std::replace_if(
        clean.begin(), clean.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; }, '?');
    return clean;
}

/// The sockets in the directory, but the expected one.
std::vector<std::string> sockets_in(const std::string& path, const std::string& expected) {
    std::vector<std::string> found;
    const Directory directory = open_directory(path);
    if (!directory) return found;
    for (std::size_t seen = 0; seen < kMaxEntries; ++seen) {
        const dirent* const entry = readdir(directory.get());  // NOLINT(concurrency-mt-unsafe): a stream of its own
        if (entry == nullptr) break;
        if (entry->d_type == DT_SOCK && entry->d_name != expected)
            found.push_back(std::string{kInside} + printable(entry->d_name));
    }
    return found;
}

std::string read_table(const std::string& path) {
    std::string text;
    const UniqueFd fd{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!fd) return text;
    std::array<char, 8192> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init): read() fills it
    while (text.size() < kMaxTableBytes) {
        const ssize_t got = read(fd.get(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        text.append(buffer.data(), static_cast<std::size_t>(got));
    }
    return text;
}

/// The inodes of the sockets that the process itself has open.
std::set<std::string> open_sockets(pid_t pid) {
    std::set<std::string> inodes;
    const std::string path = fmt::format("/proc/{}/fd", pid);
    const Directory directory = open_directory(path);
    if (!directory) return inodes;
    for (std::size_t seen = 0; seen < kMaxEntries; ++seen) {
        const dirent* const entry = readdir(directory.get());  // NOLINT(concurrency-mt-unsafe): a stream of its own
        if (entry == nullptr) break;
        std::array<char, 64> target{};
        const ssize_t size = readlinkat(dirfd(directory.get()), entry->d_name, target.data(), target.size());
        std::string_view text{target.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
        constexpr std::string_view kMark = "socket:[";
        if (text.starts_with(kMark) && text.ends_with(']'))
            inodes.emplace(text.substr(kMark.size(), text.size() - kMark.size() - 1));
    }
    return inodes;
}

bool has_own_network(pid_t pid) {
    struct stat its {};
    struct stat ours {};
    return stat(fmt::format("/proc/{}/ns/net", pid).c_str(), &its) == 0 && stat("/proc/self/ns/net", &ours) == 0 &&
           its.st_ino != ours.st_ino;
}

/// A line of /proc/net/unix: address, count, protocol, flags, type, state, inode, and a path where it is bound.
struct UnixSocket {
    std::string_view inode;
    std::string_view path;
};

std::optional<UnixSocket> listening(std::string_view line) {
    std::array<std::string_view, 7> fields;
    for (std::string_view& field : fields) {
        line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
        const std::size_t end = std::min(line.find(' '), line.size());
        field = line.substr(0, end);
        line.remove_prefix(end);
    }
    constexpr std::string_view kAccepts = "00010000";  // __SO_ACCEPTCON
    if (fields[3] != kAccepts || line.size() < 2) return std::nullopt;
    return UnixSocket{fields[6], line.substr(1)};
}

/// Where the plugin listens: all of its network namespace if that is its own, else what its first process has open.
std::vector<std::string> listening_sockets(pid_t pid, std::string_view expected) {
    std::vector<std::string> paths;
    const std::string table = read_table(fmt::format("/proc/{}/net/unix", pid));
    const bool all = has_own_network(pid);
    const std::set<std::string> its = all ? std::set<std::string>{} : open_sockets(pid);
    for (std::string_view rest = table; !rest.empty();) {
        const std::size_t end = rest.find('\n');
        const auto socket = listening(rest.substr(0, end));
        if (socket && socket->path != expected && (all || its.contains(std::string{socket->inode})))
            paths.push_back(printable(socket->path));
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    }
    return paths;
}

std::string shown(std::vector<std::string> paths) {
    std::sort(paths.begin(), paths.end());
    paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
    std::string text;
    for (std::size_t i = 0; i < paths.size() && i < kMaxShown; ++i) text += (i == 0 ? "" : ", ") + paths[i];
    if (paths.size() > kMaxShown) text += fmt::format(" and {} more", paths.size() - kMaxShown);
    return text;
}

}  // namespace

std::string why_not_listening(pid_t pid, const std::string& exec_directory, const std::string& socket,
                              const std::string& last_try) {
    const std::string expected = std::string{kInside} + socket;
    std::vector<std::string> paths = listening_sockets(pid, expected);
    if (paths.empty()) paths = sockets_in(exec_directory, socket);
    if (!paths.empty())
        return fmt::format("it listens at {}, but its config says that interface.socket is {}", shown(std::move(paths)),
                           socket);
    struct stat status {};
    if (lstat((exec_directory + "/" + socket).c_str(), &status) != 0 || !S_ISSOCK(status.st_mode))
        return fmt::format("it runs, but does not listen at {}", expected);
    return fmt::format("it runs and has made {}, but does not answer there{}{}", expected, last_try.empty() ? "" : ": ",
                       last_try);
}

}  // namespace brokerd
