#include "daemon/runtime/bundle_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "common/os/disk_error.h"

namespace brokerd {
namespace {

constexpr mode_t kPrivate = 0700;
constexpr std::chrono::milliseconds kLookAgain{250};

/// Throws away what is to be read: every look at the directory is a whole one.
void drain_events(const UniqueFd& events) {
    std::array<char, 4096> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init): nobody looks at it
    while (read(events.get(), buffer.data(), buffer.size()) > 0) {
    }
}

}  // namespace

Result<bool> make_private_directories(const std::string& path) {
    for (std::size_t at = path.find('/', 1);; at = path.find('/', at + 1)) {
        const std::string part = path.substr(0, at);
        if (mkdir(part.c_str(), kPrivate) != 0 && errno != EEXIST)
            return fail(disk_error("make the directory", part, errno));
        if (at == std::string::npos) return true;
    }
}

Result<UniqueFd> open_directory(const std::string& path) {
    UniqueFd fd{open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
    if (!fd) return fail(disk_error("open the directory", path, errno));
    return fd;
}

Result<UniqueFd> open_lock(const std::string& path) {
    UniqueFd lock{open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600)};
    if (!lock) return fail(disk_error("open the lock", path, errno));
    return lock;
}

bool try_lock(const UniqueFd& lock) noexcept {
    int done = 0;
    do {
        done = flock(lock.get(), LOCK_EX | LOCK_NB);
    } while (done != 0 && errno == EINTR);
    return done == 0;
}

BundleState await_running(const std::string& bundle, const UniqueFd& lock, std::chrono::milliseconds limit,
                          const Cancellation& cancellation) {
    const auto until = std::chrono::steady_clock::now() + limit;
    const UniqueFd events{inotify_init1(IN_CLOEXEC | IN_NONBLOCK)};
    // The end of a shim closes the lock, which is told as well.
    constexpr std::uint32_t kChanges = IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE | IN_CLOSE_NOWRITE | IN_ONLYDIR;
    if (!events || inotify_add_watch(events.get(), bundle.c_str(), kChanges) < 0) return BundleState::unclear;
    const UniqueFd directory{open(bundle.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
    const std::string running{bundle_files::kRunning};
    while (true) {
        drain_events(events);
        if (try_lock(lock)) return BundleState::ended;
        struct stat status {};
        if (fstatat(directory.get(), running.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) return BundleState::running;
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
        if (left.count() <= 0) return BundleState::unclear;
        std::array<pollfd, 2> fds{{{events.get(), POLLIN, 0}, {cancellation.descriptor(), POLLIN, 0}}};
        // The kernel tells of the close before it releases the lock, so a look may come too early: look again soon.
        poll(fds.data(), fds.size(), static_cast<int>(std::min(left, kLookAgain).count()));
        if (fds[1].revents != 0) return BundleState::unclear;
    }
}

}  // namespace brokerd
