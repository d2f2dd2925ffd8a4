#pragma once

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-event.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "common/os/system_error.h"
#include "common/os/unique_fd.h"
#include "daemon/loop/core_loop.h"

namespace brokerd::test {

/// A private directory with a short path, because a Unix socket's path holds 107 bytes; removed with all it contains.
class TemporaryDirectory {
public:
    TemporaryDirectory() {
        std::string name{"/tmp/b.XXXXXX"};
        if (mkdtemp(name.data()) == nullptr) throw_errno("mkdtemp " + name);
        path_ = name;
    }
    ~TemporaryDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

    [[nodiscard]] std::string operator/(std::string_view name) const { return path_ + '/' + std::string{name}; }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    std::string path_;
};

/// Writes a file as an editor that knows nothing of brokerd does: open, write, close.
inline void write_file(const std::string& path, std::string_view text) {
    std::ofstream out{path, std::ios::binary | std::ios::trunc};
    out << text;
    out.close();
    if (!out) throw std::runtime_error{"cannot write " + path};
}

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
