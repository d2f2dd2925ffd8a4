#include "daemon/managed/state_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "common/os/disk_error.h"

namespace brokerd {
namespace {

/// Unlinks a file on the way out, unless it has got its name.
class TemporaryFile {
public:
    TemporaryFile(int directory, std::string name) : directory_{directory}, name_{std::move(name)} {
        ::unlinkat(directory_, name_.c_str(), 0);  // of a crash
        fd_ = UniqueFd{::openat(directory_, name_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)};
    }
    TemporaryFile(const TemporaryFile&) = delete;
    TemporaryFile& operator=(const TemporaryFile&) = delete;
    ~TemporaryFile() {
        if (fd_) ::unlinkat(directory_, name_.c_str(), 0);
    }

    [[nodiscard]] int fd() const noexcept { return fd_.get(); }
    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    void keep() noexcept { fd_.reset(); }

private:
    int directory_;
    std::string name_;
    UniqueFd fd_;
};

bool write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t count = ::write(fd, bytes.data(), bytes.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
}

bool sync_file(int fd) {
    while (::fsync(fd) != 0) {
        if (errno != EINTR) return false;
    }
    return true;
}

std::string unfinished(const std::string& name) {
    return name + ".new";
}

std::string below(std::string_view directory, std::string_view name) {
    return fmt::format("{}/{}", directory, name);
}

}  // namespace

bool FileIdentity::operator==(const FileIdentity& other) const noexcept {
    return device == other.device && inode == other.inode && size == other.size &&
           modified.tv_sec == other.modified.tv_sec && modified.tv_nsec == other.modified.tv_nsec;
}

Result<StateDirectory> StateDirectory::open(const std::string& path) {
    const int code = ::mkdir(path.c_str(), 0700) == 0 ? 0 : errno;
    if (code != 0 && code != EEXIST && code != EROFS) return fail(disk_error("make the directory", path, code));
    auto opened = open_existing(path);
    // That it does not exist is not what keeps a read-only file system from working.
    if (!opened && code == EROFS) return fail(disk_error("make the directory", path, code));
    return opened;
}

Result<StateDirectory> StateDirectory::open_existing(const std::string& path) {
    UniqueFd fd{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!fd) return fail(disk_error("open the directory", path, errno));
    return StateDirectory{std::move(fd), path};
}

Result<std::optional<std::string>> read_file_at(int directory, const std::string& name, std::size_t limit,
                                                std::string_view shown_path) {
    // O_NONBLOCK: a FIFO in the place of the file must not hold us.
    const UniqueFd fd{::openat(directory, name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)};
    if (!fd && (errno == ENOENT || errno == ENOTDIR)) return std::optional<std::string>{};
    if (!fd) return fail(disk_error("open", below(shown_path, name), errno));
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0) return fail(disk_error("read", below(shown_path, name), errno));
    if (!S_ISREG(status.st_mode)) return fail(fmt::format("{} is not a plain file", below(shown_path, name)));
    std::string bytes;
    // What the file says of its size is a hint; one byte more, to see its end.
    constexpr std::size_t kLeast = 4096;
    const std::size_t hint = std::max(static_cast<std::size_t>(std::max<off_t>(status.st_size, 0)) + 1, kLeast);
    for (;;) {
        const std::size_t filled = bytes.size();
        bytes.resize(std::min(std::max(hint, filled + kLeast), std::max(limit, filled) + 1));
        const ssize_t count = ::read(fd.get(), bytes.data() + filled, bytes.size() - filled);
        const int code = errno;
        bytes.resize(filled + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
        if (count == 0) return std::optional<std::string>{std::move(bytes)};
        if (count < 0 && code != EINTR) return fail(disk_error("read", below(shown_path, name), code));
        if (bytes.size() > limit) {
            return fail(fmt::format("{} is longer than {} bytes", below(shown_path, name), limit));
        }
    }
}

Result<bool> replace_file_at(int directory, const std::string& name, std::string_view bytes, Durability how,
                             std::string_view shown_path) {
    TemporaryFile fresh{directory, unfinished(name)};
    const std::string shown = below(shown_path, fresh.name());
    if (fresh.fd() < 0) return fail(disk_error("create", shown, errno));
    if (!write_all(fresh.fd(), bytes)) return fail(disk_error("write", shown, errno));
    if (how == Durability::durable && !sync_file(fresh.fd())) return fail(disk_error("sync", shown, errno));
    if (::renameat(directory, fresh.name().c_str(), directory, name.c_str()) != 0) {
        return fail(disk_error("replace", below(shown_path, name), errno));
    }
    fresh.keep();
    return true;
}

void remove_unfinished_file_at(int directory, const std::string& name) noexcept {
    ::unlinkat(directory, unfinished(name).c_str(), 0);
}

Result<bool> sync_directory(int directory, std::string_view shown_path) {
    if (!sync_file(directory)) return fail(disk_error("sync the directory", shown_path, errno));
    return true;
}

Result<std::optional<std::string>> StateDirectory::read(const std::string& name, std::size_t limit) const {
    return read_file_at(fd(), name, limit, path_);
}

Result<bool> StateDirectory::replace(const std::string& name, std::string_view bytes, Durability how) const {
    const auto replaced = replace_file_at(fd(), name, bytes, how, path_);
    if (!replaced || how == Durability::visible) return replaced;
    return sync();
}

std::optional<FileIdentity> StateDirectory::identity(const std::string& name) const {
    struct stat status {};
    if (::fstatat(fd(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return std::nullopt;
    return FileIdentity{status.st_dev, status.st_ino, status.st_size, status.st_mtim};
}

Result<bool> StateDirectory::sync() const {
    return sync_directory(fd(), path_);
}

}  // namespace brokerd
