#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace brokerd {

/// Somebody who has a plugin's files mounted: mostly a container that uses one of its volumes.
struct MountUser {
    pid_t pid = 0;            ///< the oldest process of its mount namespace
    std::string command;      ///< what that process calls itself; may be empty
    std::string mount_point;  ///< where it has them, as it sees it; escaped
};

/// Who besides the plugin has something mounted that lies at or below one of `directories` (STATE/plugins/ID/
/// propagated-mount and …/rootfs): an engine that takes no leases has told nobody, and its containers would lose their
/// volumes with the plugin. Looked for in every mount namespace but ours and those of the processes `own`, which are
/// the plugin's. Copies of the host's mounts, as services and containers with "/" of the host have them, are no use.
///
/// Only /proc is read: nothing here opens, or waits for, a file system that may hang. What cannot be read is passed
/// over. Bounded: 65 536 processes, 4 096 namespaces. Thread: any; takes milliseconds.
[[nodiscard]] std::vector<MountUser> users_of_mounts(const std::vector<std::string>& directories,
                                                     const std::vector<pid_t>& own);

/// "a container of nginx (pid 456)": a few words for a sentence.
[[nodiscard]] std::string to_text(const MountUser& user);

}  // namespace brokerd
