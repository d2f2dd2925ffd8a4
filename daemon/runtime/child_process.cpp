#include "daemon/runtime/child_process.h"

#include <fmt/format.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

namespace brokerd {

ChildProcess::ChildProcess(pid_t pid) noexcept
    : pid_{pid}, pidfd_{static_cast<int>(syscall(SYS_pidfd_open, pid, 0U))} {}  // not reaped, so it is this one

ChildProcess::~ChildProcess() {
    if (pid_ < 0) return;
    kill();
    [[maybe_unused]] const auto ignored = reap();
}

void ChildProcess::kill() const noexcept {
    if (pid_ <= 0) return;
    // By number, which is safe as long as it has not been reaped: neither its number nor that of its group is free.
    ::kill(-pid_, SIGKILL);
    ::kill(pid_, SIGKILL);
}

siginfo_t ChildProcess::reap() noexcept {
    siginfo_t how{};
    while (waitid(P_PID, static_cast<id_t>(pid_), &how, WEXITED) != 0 && errno == EINTR) {
    }
    pid_ = -1;
    return how;
}

UniqueFd ChildProcess::release() noexcept {
    pid_ = -1;
    return std::move(pidfd_);
}

std::string how_it_ended(const siginfo_t& how) {
    if (how.si_code == CLD_EXITED) return fmt::format("ended with status {}", how.si_status);
    const char* const name = sigabbrev_np(how.si_status);
    if (name == nullptr) return fmt::format("was killed by signal {}", how.si_status);
    return fmt::format("was killed by SIG{}", name);
}

}  // namespace brokerd
