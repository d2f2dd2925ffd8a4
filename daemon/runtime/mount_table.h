#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace brokerd {

/// One line of /proc/PID/mountinfo (proc(5)); paths and names are unescaped.
struct MountEntry {
    int id = 0;
    int parent = 0;
    std::string device;       ///< "major:minor" of the file system
    std::string root;         ///< which of its directories is mounted
    std::string mount_point;  ///< as seen by the process, without symbolic links
    bool shared = false;      ///< in a peer group: what is mounted below is passed on
    std::string type;         ///< "ext4", "fuse.sshfs" …
    std::string source;
};

/// The lines of such a file, in its order; lines that cannot be read are left out.
[[nodiscard]] std::vector<MountEntry> parse_mount_table(std::string_view text);

/// `file`: "/proc/thread-self/mountinfo", or another process's. At most 64 MiB are read. Thread: any; opens nothing but
/// this file.
[[nodiscard]] Result<std::vector<MountEntry>> read_mount_table(const std::string& file = "/proc/thread-self/mountinfo");

/// Whether `path` is `directory` or below it; by their text, both without a slash at the end.
[[nodiscard]] bool is_at_or_below(std::string_view path, std::string_view directory) noexcept;

}  // namespace brokerd
