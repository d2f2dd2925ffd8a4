#pragma once

#include <signal.h>
#include <sys/types.h>

#include <string>
#include <utility>

#include "common/os/unique_fd.h"

namespace brokerd {

/// A child of this process, followed by its pidfd. Killed with its process group, and reaped, when this goes, unless it
/// has been released before. Thread: any, one at a time.
class ChildProcess {
public:
    /// `pid` is a child that nobody has reaped, and that leads a process group of its own, or is about to make one.
    explicit ChildProcess(pid_t pid) noexcept;
    ChildProcess(ChildProcess&& other) noexcept
        : pid_{std::exchange(other.pid_, -1)}, pidfd_{std::move(other.pidfd_)} {}
    ChildProcess(const ChildProcess&) = delete;
    ChildProcess& operator=(const ChildProcess&) = delete;
    ChildProcess& operator=(ChildProcess&&) = delete;
    ~ChildProcess();

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }
    /// Readable when it has ended. Not valid where the kernel had no descriptor left.
    [[nodiscard]] const UniqueFd& pidfd() const noexcept { return pidfd_; }
    /// SIGKILL to it and to all of its process group.
    void kill() const noexcept;
    /// Waits for its end. Precondition: it has not been reaped.
    [[nodiscard]] siginfo_t reap() noexcept;
    /// Leaves it running; whoever has the pidfd reaps it.
    [[nodiscard]] UniqueFd release() noexcept;

private:
    pid_t pid_;
    UniqueFd pidfd_;
};

/// "ended with status 3", "was killed by SIGSEGV"
[[nodiscard]] std::string how_it_ended(const siginfo_t& how);

}  // namespace brokerd
