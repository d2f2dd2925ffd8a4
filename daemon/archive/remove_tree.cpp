#include "daemon/archive/remove_tree.h"

// The walk holds one directory open, however deep the tree is, and goes back up through "..". That could lead out if
// somebody moved a directory meanwhile, so each directory's identity is noted on the way down and compared on the way
// up.

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <vector>

#include "common/os/system_error.h"
#include "daemon/archive/escaped_name.h"
#include "daemon/archive/open_beneath.h"

namespace brokerd {
namespace {

constexpr int kOpenDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

struct CloseDirectory {
    void operator()(DIR* directory) const noexcept { closedir(directory); }
};

class TreeRemover {
public:
    TreeRemover(int parent, const std::string& name) : parent_{parent}, name_{name} {}

    Result<RemovedTree> run() {
        if (!remove_leaf(parent_, name_.c_str())) {
            if (errno == ENOENT) return removed_;
            if (errno != ENOTEMPTY && errno != EEXIST) return refusal(name_);
            if (const auto done = remove_contents(); !done) return fail(done.error());
        }
        return removed_;
    }

private:
    struct Level {
        std::string name;
        dev_t device;
        ino_t inode;
    };

    /// Removes a file or an empty directory. False with errno; ENOTEMPTY for a directory with something in it.
    bool remove_leaf(int directory, const char* name) {
        for (const bool is_second_try : {false, true}) {
            if (unlinkat(directory, name, 0) == 0) return ++removed_.entries, true;
            if (errno == EISDIR && unlinkat(directory, name, AT_REMOVEDIR) == 0) return ++removed_.entries, true;
            if ((errno != EPERM && errno != EACCES) || is_second_try) return false;
            const int cause = errno;
            lift_marks(directory, name);
            errno = cause;
        }
        return false;
    }

    /// chattr +i and +a keep root, too, from removing a file, or an entry of a directory.
    static void lift_marks(int directory, const char* name) {
        lift_mark(directory);
        struct stat status {};
        if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0) return;
        if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) return;  // opening a device would wake its driver
        if (const UniqueFd file = open_entry(directory, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW))
            lift_mark(file.get());
    }

    static void lift_mark(int fd) {
        int flags = 0;
        if (ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0 || (flags & (FS_IMMUTABLE_FL | FS_APPEND_FL)) == 0) return;
        flags &= ~(FS_IMMUTABLE_FL | FS_APPEND_FL);
        ioctl(fd, FS_IOC_SETFLAGS, &flags);
    }

    Result<bool> remove_contents() {
        if (!descend(parent_, name_)) return refusal(name_);
        while (!levels_.empty()) {
            const auto child = remove_entries();
            if (!child) return fail(child.error());
            const bool done = child->empty() ? ascend() : descend(dirfd(directory_.get()), *child);
            if (!done) return refusal(*child);
        }
        return true;
    }

    bool descend(int directory, const std::string& name) {
        UniqueFd fd = open_entry(directory, name.c_str(), kOpenDirectory);
        struct stat status {};
        if (!fd || fstat(fd.get(), &status) != 0 || !adopt(std::move(fd))) return false;
        levels_.push_back({name, status.st_dev, status.st_ino});
        return true;
    }

    bool ascend() {
        const Level done = std::move(levels_.back());
        levels_.pop_back();
        if (levels_.empty()) {
            directory_.reset();
            return remove_leaf(parent_, done.name.c_str()) || errno == ENOENT;
        }
        UniqueFd up{openat(dirfd(directory_.get()), "..", kOpenDirectory)};
        struct stat status {};
        if (!up || fstat(up.get(), &status) != 0) return false;
        if (status.st_dev != levels_.back().device || status.st_ino != levels_.back().inode) {
            errno = EXDEV;
            return false;
        }
        return (remove_leaf(up.get(), done.name.c_str()) || errno == ENOENT) && adopt(std::move(up));
    }

    bool adopt(UniqueFd fd) {
        directory_.reset(fdopendir(fd.get()));
        if (directory_) static_cast<void>(fd.release());
        return directory_ != nullptr;
    }

    /// Removes what can be removed at once. The name of the first directory with something in it; empty: none is left.
    Result<std::string> remove_entries() {
        for (bool found_any = true; found_any;) {  // again, as a file system may skip entries while others go
            found_any = false;
            rewinddir(directory_.get());
            while (const dirent* entry = readdir(directory_.get())) {
                const std::string name = entry->d_name;
                if (name == "." || name == "..") continue;
                found_any = true;
                if (remove_leaf(dirfd(directory_.get()), name.c_str()) || errno == ENOENT) continue;
                if (errno == ENOTEMPTY || errno == EEXIST) return name;
                return refusal(name);
            }
        }
        return std::string{};
    }

    /// For errno.
    [[nodiscard]] Failure<Error> refusal(const std::string& name) const {
        const int cause = errno;
        std::string path;
        for (const Level& level : levels_) path += level.name + '/';
        path += levels_.empty() && name.empty() ? name_ : name;
        if (cause == EBUSY || cause == EXDEV) {
            return fail(
                fmt::format("cannot remove {}: something is mounted there, or it was moved; unmount it and try again",
                            escaped_name(path)));
        }
        return fail(fmt::format("cannot remove {}: {}", escaped_name(path), errno_text(cause)));
    }

    const int parent_;
    const std::string& name_;
    std::unique_ptr<DIR, CloseDirectory> directory_;  ///< that of the last level
    std::vector<Level> levels_;
    RemovedTree removed_;
};

}  // namespace

Result<RemovedTree> remove_tree(int parent, const std::string& name) {
    if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos) {
        return fail(fmt::format("cannot remove {}: it is not a name in a directory", escaped_name(name)));
    }
    return TreeRemover{parent, name}.run();
}

}  // namespace brokerd
