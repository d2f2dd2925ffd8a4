#pragma once

#include <sys/file.h>

#include <cerrno>
#include <chrono>
#include <thread>

namespace brokerd {

/// Takes the lock of an open file or directory (flock(2)) for this process; false: errno says why not.
/// One that is taken is waited for, but only for two seconds: the children of a process that was killed may hold its
/// descriptors for the moment between fork and exec, and whoever starts us again at once must not fail because of them.
[[nodiscard]] inline bool lock_exclusively(int file) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{2};
    while (::flock(file, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EINTR && (errno != EWOULDBLOCK || std::chrono::steady_clock::now() > until)) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds{5});
    }
    return true;
}

}  // namespace brokerd
