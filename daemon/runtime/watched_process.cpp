#include "daemon/runtime/watched_process.h"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace brokerd {

Result<UniqueFd, int> open_process(const ProcessIdentity& process) {
    if (process.pid <= 0) return UniqueFd{};
    const auto none_or_error = [](int code) -> Result<UniqueFd, int> {
        if (code == 0 || code == ESRCH || code == ENOENT) return UniqueFd{};
        return fail(code);
    };
    UniqueFd opened{static_cast<int>(syscall(SYS_pidfd_open, process.pid, 0U))};
    if (!opened) return none_or_error(errno);
    // Compared after opening: had the number gone to another process before, that one would be seen now.
    errno = 0;
    const auto now = process_identity(process.pid);
    if (!now) return none_or_error(errno);
    if (*now != process) return UniqueFd{};
    return opened;
}

bool send_signal(const UniqueFd& process, int signal) noexcept {
    return process && syscall(SYS_pidfd_send_signal, process.get(), signal, nullptr, 0U) == 0;
}

bool has_ended(const UniqueFd& process) noexcept {
    return wait_for_end(process, std::chrono::milliseconds{0});
}

bool wait_for_end(const UniqueFd& process, std::chrono::milliseconds limit) noexcept {
    if (!process) return true;
    const auto until = std::chrono::steady_clock::now() + limit;
    while (true) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
        pollfd end{process.get(), POLLIN, 0};
        const int ready = poll(&end, 1, static_cast<int>(std::max<std::chrono::milliseconds::rep>(left.count(), 0)));
        if (ready > 0) return true;
        if (ready == 0) return false;
        if (errno != EINTR) return false;
    }
}

}  // namespace brokerd
