#include "daemon/shim/child_signals.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ctime>

namespace brokerd {

void notice_children() noexcept {
    struct sigaction action {};
    action.sa_handler = [](int) {};  // the default, to ignore it, would not end ppoll()
    action.sa_flags = SA_NOCLDSTOP;
    sigemptyset(&action.sa_mask);
    sigaction(SIGCHLD, &action, nullptr);
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, nullptr);
}

int poll_or_child(std::span<pollfd> fds, std::optional<std::chrono::milliseconds> limit) noexcept {
    sigset_t mask;
    sigprocmask(SIG_SETMASK, nullptr, &mask);
    sigdelset(&mask, SIGCHLD);
    timespec time{};
    if (limit) {
        const auto left = std::max(*limit, std::chrono::milliseconds{0});
        time.tv_sec = static_cast<time_t>(left.count() / 1000);
        time.tv_nsec = static_cast<long>(left.count() % 1000) * 1'000'000;
    }
    const int ready = ppoll(fds.data(), fds.size(), limit ? &time : nullptr, &mask);
    if (ready > 0) return ready;
    for (pollfd& fd : fds) fd.revents = 0;  // ppoll() leaves them as they were when it is interrupted
    return 0;
}

int wait_id(idtype_t type, id_t id, siginfo_t& how, int options) noexcept {
    int result = -1;
    do {
        result = waitid(type, id, &how, options);
    } while (result != 0 && errno == EINTR);
    return result;
}

}  // namespace brokerd
