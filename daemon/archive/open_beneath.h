#pragma once

#include <sys/types.h>

#include "common/os/unique_fd.h"

namespace brokerd {

/// Opens `path` as if `root` were the root directory: absolute links and ".." stay inside; magic links and mount points
/// are refused (openat2(2)). Empty on failure, with errno. `mode` is for O_CREAT.
[[nodiscard]] UniqueFd open_in_root(int root, const char* path, int flags, mode_t mode = 0);

/// Opens the entry `name` of `directory`, following no symbolic link and crossing no mount point. Empty on failure,
/// with errno: ELOOP a symbolic link, EXDEV a mount point.
[[nodiscard]] UniqueFd open_entry(int directory, const char* name, int flags);

}  // namespace brokerd
