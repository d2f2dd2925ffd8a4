#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <deque>

#include "common/os/disk_error.h"
#include "daemon/logs/log_file_reader.h"
#include "daemon/logs/log_reading.h"
#include "daemon/shim/log_files.h"

/// Two files, and one that writes: `current` grows, and at any moment it may become `previous` and another `current`
/// begin. A file that is open stays the same through that, so a reader takes what its file has until it sees that
/// `current` is another one; then what came meanwhile is all of that one, and, where even two have gone by, of
/// `previous` before it. Whatever is written wakes the reader (inotify); a moment between reading and waiting cannot
/// pass unseen, as the watch begins before the first reading.
namespace brokerd {
namespace {

const char* const kCurrent = log_files::kCurrent.data();
const char* const kPrevious = log_files::kPrevious.data();

bool is_readable(int fd) {
    pollfd wait{fd, POLLIN, 0};
    return poll(&wait, 1, 0) > 0;
}

/// Keeps the newest lines.
class Tail {
public:
    explicit Tail(std::size_t size) : size_{size} {}

    void add(const LogLine& line) {
        if (size_ == 0) return;
        if (lines_.size() == size_) lines_.pop_front();
        lines_.push_back(line);
    }
    [[nodiscard]] bool hand_on(const PluginLogs::Take& take) const {
        for (const LogLine& line : lines_) {
            if (!take(line)) return false;
        }
        return true;
    }

private:
    std::size_t size_;
    std::deque<LogLine> lines_;  ///< no more than the files hold
};

class LogDirectory {
public:
    LogDirectory(UniqueFd directory, int cancelled) : directory_{std::move(directory)}, cancelled_{cancelled} {}

    /// The directory's own end is seen in its parent: as long as it is open here, it has not ended for itself.
    [[nodiscard]] bool watch(const std::string& path) {
        changes_.reset(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
        const std::string parent = path.substr(0, path.rfind('/'));
        return changes_ && watch(path, IN_MODIFY | IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO) && watch(parent, IN_DELETE);
    }

    /// What there is. False: enough.
    [[nodiscard]] bool read_all(const PluginLogs::Take& take) {
        current_ = LogFileReader{directory_.get(), kCurrent};
        LogFileReader previous{directory_.get(), kPrevious};
        if (previous.inode() != 0 && previous.inode() == current_.inode()) {
            // It changed its name between the two: then a newer one follows, which read_more() finds.
            return current_.read(take);
        }
        return previous.read(take) && current_.read(take);
    }

    /// What has come since. False: enough.
    [[nodiscard]] bool read_more(const PluginLogs::Take& take) {
        if (!current_.read(take)) return false;
        if (inode_of(directory_.get(), kCurrent) == current_.inode()) return true;
        if (!current_.read(take)) return false;  // nothing is added any more after the change of its name
        LogFileReader previous{directory_.get(), kPrevious};
        const ino_t before = current_.inode();
        current_ = LogFileReader{directory_.get(), kCurrent};
        const bool missed = before != 0 && previous.inode() != before && previous.inode() != current_.inode();
        if (missed && !previous.read(take)) return false;
        return current_.read(take);
    }

    /// Waits for a change. False: cancelled, or the directory is gone.
    [[nodiscard]] bool wait() const {
        std::array<pollfd, 2> fds{{{changes_.get(), POLLIN, 0}, {cancelled_, POLLIN, 0}}};
        if (poll(fds.data(), fds.size(), -1) < 0) return errno == EINTR;
        if (fds[1].revents != 0) return false;
        std::array<char, 4096> unused;  // NOLINT(cppcoreguidelines-pro-type-member-init): what happened is looked up
        while (read(changes_.get(), unused.data(), unused.size()) > 0) {
        }
        struct stat what {};
        return fstat(directory_.get(), &what) == 0 && what.st_nlink > 0;
    }

private:
    [[nodiscard]] bool watch(const std::string& path, std::uint32_t changes) {
        return inotify_add_watch(changes_.get(), path.c_str(), changes | IN_ONLYDIR) >= 0;
    }

    UniqueFd directory_;
    UniqueFd changes_;
    int cancelled_;
    LogFileReader current_;
};

}  // namespace

std::optional<std::string> read_log_files(const std::string& directory, const LogQuery& query, int cancelled,
                                          const PluginLogs::Take& take) {
    if (query.follow) {
        mkdir(directory.substr(0, directory.rfind('/')).c_str(), 0700);
        mkdir(directory.c_str(), 0700);
    }
    UniqueFd opened{open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!opened && errno == ENOENT && !query.follow) return std::nullopt;
    if (!opened) return disk_error("open the directory", directory, errno);
    LogDirectory logs{std::move(opened), cancelled};
    if (query.follow && !logs.watch(directory)) return disk_error("watch the directory", directory, errno);

    const PluginLogs::Take newer = [&](const LogLine& line) {
        return query.since && line.time < *query.since ? true : take(line);
    };
    Tail tail{query.tail.value_or(0)};
    const PluginLogs::Take kept = [&](const LogLine& line) {
        if (!query.since || line.time >= *query.since) tail.add(line);
        return true;
    };
    bool more = logs.read_all(query.tail ? kept : newer);
    if (query.tail) more = tail.hand_on(take);
    while (more && query.follow && !is_readable(cancelled)) more = logs.read_more(newer) && logs.wait();
    return std::nullopt;
}

}  // namespace brokerd
