#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "common/os/unique_fd.h"
#include "daemon/proxy/channel.h"

namespace brokerd {

/// A pipe through which splice(2) moves body bytes from one plain socket to another inside the kernel.
/// Thread: one proxy thread's.
class BodyPipe {
public:
    /// Null where descriptors have run out: bodies are then copied.
    [[nodiscard]] static std::unique_ptr<BodyPipe> make();

    struct Moved {
        std::size_t came = 0;  ///< from the one socket
        std::size_t left = 0;  ///< for the other
    };
    /// Moves what the two sockets allow without waiting, up to `limit` bytes and a pipe full. What they told (readiness,
    /// end, failure) is in the channels. Precondition: `from.in` and `to.out` are empty, and neither end is TLS.
    Moved move(Channel& from, Channel& to, std::uint64_t limit);

    /// Bytes that have come and not left yet.
    [[nodiscard]] std::size_t size() const noexcept { return held_; }

private:
    BodyPipe(UniqueFd read_end, UniqueFd write_end) noexcept
        : read_end_{std::move(read_end)}, write_end_{std::move(write_end)} {}

    UniqueFd read_end_;
    UniqueFd write_end_;
    std::size_t held_ = 0;
};

/// Keeps a few empty pipes for the next large body. Thread: one proxy thread's.
class BodyPipePool {
public:
    /// An empty pipe, or null.
    [[nodiscard]] std::unique_ptr<BodyPipe> take();
    /// One that still holds bytes is closed, with them. Null is ignored.
    void give_back(std::unique_ptr<BodyPipe> pipe);

private:
    static constexpr std::size_t kMaxFree = 8;

    std::vector<std::unique_ptr<BodyPipe>> free_;
};

}  // namespace brokerd
