#pragma once

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdint>
#include <string>

#include "common/os/system_error.h"
#include "common/os/unique_fd.h"
#include "common/result.h"

namespace brokerd {

/// Ours, for files of certificates and keys: all authorities that Debian knows have 220 KiB together.
inline constexpr std::uint64_t kMaxPemBytes = std::uint64_t{8} << 20;

/// A file for a library that wants a path and reads whatever it finds there: a FIFO would hold it for ever, a device or
/// a giant nearly so. What has been looked at here is what path() leads to, whoever replaces the file meanwhile.
class RegularFile {
public:
    /// Links are followed. Refuses what is no regular file, and what has more than `limit` bytes; never waits for
    /// anybody but the file system. The error says why, without the path.
    [[nodiscard]] static Result<RegularFile> open(const std::string& path, std::uint64_t limit) {
        // Looked at before it is opened: opening a device can have effects, and a FIFO's writer would notice.
        struct stat status {};
        if (::stat(path.c_str(), &status) != 0) return fail(errno_text(errno));
        if (!S_ISREG(status.st_mode)) return fail("it is not a regular file");
        UniqueFd fd{::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)};
        if (!fd || ::fstat(fd.get(), &status) != 0) return fail(errno_text(errno));
        if (!S_ISREG(status.st_mode)) return fail("it is not a regular file");
        if (static_cast<std::uint64_t>(status.st_size) > limit)
            return fail(fmt::format("it has more than {} bytes", limit));
        return RegularFile{std::move(fd)};
    }

    /// As long as this lives (proc(5), /proc/PID/fd).
    [[nodiscard]] std::string path() const { return fmt::format("/proc/self/fd/{}", fd_.get()); }

private:
    explicit RegularFile(UniqueFd fd) noexcept : fd_{std::move(fd)} {}

    UniqueFd fd_;
};

}  // namespace brokerd
