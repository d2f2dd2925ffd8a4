#include "daemon/images/layout_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "common/os/system_error.h"
#include "daemon/images/sha256.h"
#include "daemon/images/uninterrupted.h"

namespace brokerd {
namespace {

/// openat2(2): EAGAIN where somebody moves directories meanwhile; bounded, as that may be on purpose.
constexpr int kAttempts = 16;

UniqueFd open_beneath(int directory, const std::string& path) {
    open_how how{};
    // Non-blocking: a pipe in a file's place must not hold us.
    how.flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    for (int attempt = 1;; ++attempt) {
        const long fd =
            uninterrupted([&] { return ::syscall(SYS_openat2, directory, path.c_str(), &how, sizeof how); });
        if (fd >= 0 || errno != EAGAIN || attempt == kAttempts) return UniqueFd{static_cast<int>(fd)};
    }
}

std::string why_not(int code) {
    if (code == ELOOP || code == EXDEV) return "it is a symbolic link, or leads through one";
    return errno_text(code);
}

/// Reads until `bytes` is full or the file ends.
Result<std::string> read_to_end(int fd, std::size_t limit, const std::string& path) {
    // One byte more shows whether the file has grown.
    std::string bytes(limit + 1, '\0');
    std::size_t filled = 0;
    while (filled < bytes.size()) {
        const ssize_t count = uninterrupted([&] { return ::read(fd, bytes.data() + filled, bytes.size() - filled); });
        if (count < 0) return fail(fmt::format("cannot read {} of the layout: {}", path, errno_text(errno)));
        if (count == 0) break;
        filled += static_cast<std::size_t>(count);
    }
    bytes.resize(filled);
    return bytes;
}

}  // namespace

std::string layout_blob_path(const Digest& digest) {
    return fmt::format("blobs/sha256/{}", digest.hex());
}

Result<LayoutFiles::File> LayoutFiles::open(const std::string& path) const {
    UniqueFd fd = open_beneath(directory_, path);
    if (!fd && errno == ENOENT) return fail(fmt::format("the layout has no file {}", path));
    if (!fd) return fail(fmt::format("cannot open {} of the layout: {}", path, why_not(errno)));
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0)
        return fail(fmt::format("cannot look at {} of the layout: {}", path, errno_text(errno)));
    if (!S_ISREG(status.st_mode)) return fail(fmt::format("{} of the layout is not a regular file", path));
    return File{std::move(fd), static_cast<std::uint64_t>(status.st_size)};
}

Result<std::string> LayoutFiles::read(const std::string& path, std::size_t limit) const {
    const auto file = open(path);
    if (!file) return fail(file.error());
    const auto too_long = [&] { return fail(fmt::format("{} of the layout is longer than {} bytes", path, limit)); };
    if (file->size > limit) return too_long();
    auto bytes = read_to_end(file->fd.get(), static_cast<std::size_t>(file->size), path);
    if (bytes && bytes->size() > limit) return too_long();
    return bytes;
}

Result<LayoutFiles::File> LayoutFiles::open_blob(const Descriptor& blob) const {
    const std::string path = layout_blob_path(blob.digest);
    auto file = open(path);
    if (file && file->size != blob.size) {
        return fail(fmt::format("{} of the layout has {} bytes; {} were announced", path, file->size, blob.size));
    }
    return file;
}

Result<std::string> LayoutFiles::read_blob(const Descriptor& blob) const {
    const auto file = open_blob(blob);
    if (!file) return fail(file.error());
    const std::string path = layout_blob_path(blob.digest);
    auto bytes = read_to_end(file->fd.get(), static_cast<std::size_t>(blob.size), path);
    if (bytes && Sha256::of(*bytes) != blob.digest)
        return fail(fmt::format("{} of the layout is damaged: its content has another digest", path));
    return bytes;
}

}  // namespace brokerd
