#pragma once

#include <cstdint>
#include <string>

#include "common/os/unique_fd.h"
#include "common/result.h"

namespace brokerd {

/// Mounts that brokerd makes on the host for a plugin, and the removal of those that a plugin made. No function here
/// looks into a mounted file system, so that a dead FUSE server cannot hold anybody up. Paths are absolute and without
/// symbolic links. Thread: any that may wait.

/// Makes `directory` (it is created, 0755, where it is missing) a mount of itself that passes on what is mounted below
/// it: into the plugin's namespace and out of it. Its peers are its own: what is mounted there appears once.
/// Where it is such a mount already, nothing is done.
[[nodiscard]] Result<bool> make_shared_mount(const std::string& directory);

/// Puts a small file system in memory, the user's, on the directory that is open as `directory`, where a plugin and
/// brokerd meet: what the plugin writes there cannot fill the host's /run. `path` is for messages.
[[nodiscard]] Result<bool> mount_socket_directory(const UniqueFd& directory, const std::string& path, std::uint32_t uid,
                                                  std::uint32_t gid);

/// Unmounts everything at or below `path`: the deepest first, of several at one place the newest first, busy or not
/// (what still uses a file there keeps it). The error names the first mount that could not be removed; the others are.
[[nodiscard]] Result<bool> unmount_below(const std::string& path);

}  // namespace brokerd
