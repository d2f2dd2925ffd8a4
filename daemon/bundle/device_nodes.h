#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <vector>

#include "common/result.h"

namespace brokerd {

/// Ours: /dev of a large host has a few hundred. More is a directory that holds something else.
inline constexpr std::size_t kMaxDeviceNodes = 4096;

/// A device node of the host, to be made again inside a plugin.
struct DeviceNode {
    std::string path;  ///< inside
    char type = 'c';   ///< 'c' or 'b'
    unsigned major = 0;
    unsigned minor = 0;
    mode_t mode = 0;  ///< permission bits
    uid_t uid = 0;
    gid_t gid = 0;
};

/// What a plugin gets that was granted the device `path` (absolute): the node there, which a symbolic link may lead to;
/// or, where it is a directory (/dev/snd), every node below, in order of their paths, without following links.
/// The error says what is there instead. Waits for the disk; any thread.
[[nodiscard]] Result<std::vector<DeviceNode>> device_nodes(const std::string& path);

}  // namespace brokerd
