#pragma once

#include <spawn.h>
#include <sys/types.h>

#include <string>
#include <vector>

#include "common/os/unique_fd.h"

namespace brokerd {

/// A child process to be: with no signal blocked or ignored, with no environment but PATH, with /dev/null as standard
/// streams, and with the descriptors that it is given, no others.
class SpawnPlan {
public:
    SpawnPlan();
    ~SpawnPlan();
    SpawnPlan(const SpawnPlan&) = delete;
    SpawnPlan& operator=(const SpawnPlan&) = delete;

    /// It has `fd` (borrowed until spawn()) as descriptor `target`, which is below kFirstFreeFd.
    void give(int fd, int target);
    /// It leads a process group of its own.
    void lead_group();
    /// The child, which is the caller's to reap. `arguments` begin with the program's path. -1: errno says why not.
    /// The duplicates of the given descriptors are closed then, so that only the child has them.
    [[nodiscard]] pid_t spawn(const std::vector<std::string>& arguments);

    static constexpr int kFirstFreeFd = 5;

private:
    posix_spawn_file_actions_t actions_{};
    posix_spawnattr_t attributes_{};
    short flags_;
    int error_ = 0;  ///< of the first step that failed
    std::vector<UniqueFd> duplicates_;
};

}  // namespace brokerd
