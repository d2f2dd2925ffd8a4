#pragma once

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-event.h>

#include <chrono>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "common/os/system_error.h"
#include "common/os/unique_fd.h"
#include "daemon/loop/core_loop.h"
#include "tests/unit/temporary_directory.h"

namespace brokerd::test {

/// Makes a socket's file, with a listener that is closed again: nobody connects in these tests.
inline void make_socket(const std::string& path) {
    const UniqueFd fd{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) throw std::runtime_error{"too long for a socket: " + path};
    std::memcpy(address.sun_path, path.data(), path.size());
    const void* const generic = &address;
    if (bind(fd.get(), static_cast<const sockaddr*>(generic), sizeof address) != 0) throw_errno("bind " + path);
}

/// Dispatches what the loop has, until `done` or a deadline that is generous enough for a slow machine.
/// Returns whether it is done.
inline bool run_until(CoreLoop& loop, const std::function<bool()>& done,
                      std::chrono::seconds deadline = std::chrono::seconds{20}) {
    const auto end = CoreLoop::Clock::now() + deadline;
    while (!done()) {
        if (CoreLoop::Clock::now() > end) return false;
        constexpr std::uint64_t kTurnMicroseconds = 10'000;
        const int code = sd_event_run(loop.handle(), kTurnMicroseconds);
        if (code < 0) throw std::system_error{-code, std::generic_category(), "sd_event_run"};
    }
    return true;
}

/// Dispatches what is ready now, and no more.
inline void run_ready(CoreLoop& loop) {
    while (sd_event_run(loop.handle(), 0) > 0) {
    }
}

}  // namespace brokerd::test
