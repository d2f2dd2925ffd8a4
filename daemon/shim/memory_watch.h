#pragma once

#include <sys/types.h>

#include <string_view>

#include "common/os/unique_fd.h"

namespace brokerd {

/// Sees whether the kernel has killed anything in a process's cgroup because its memory was used up. The cgroup may be
/// removed as soon as it is empty, so its figure is opened while the process lives, and read when it changes. Knows
/// cgroup v1, v2 and hybrid hosts. Thread: one.
class MemoryWatch {
public:
    /// Watches nothing where the process has no such cgroup. `cgroup`: the one that it was put into, below the root of
    /// the hierarchy, for a process that has ended by now: cgroup v1 then shows it in the root.
    MemoryWatch(pid_t process, std::string_view cgroup);

    /// To be polled for POLLPRI: the figures have changed. -1: nothing to poll (cgroup v1 does not tell).
    [[nodiscard]] int fd() const noexcept { return tells_ ? figures_.get() : -1; }
    /// Reads the figures.
    void update();
    [[nodiscard]] bool killed() const noexcept { return killed_; }

private:
    UniqueFd figures_;
    bool tells_ = false;
    bool killed_ = false;
};

}  // namespace brokerd
