#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "common/os/unique_fd.h"
#include "daemon/stream/channel.h"

namespace brokerd {

/// How much of a body has to be left for a pipe to pay.
inline constexpr std::uint64_t kPipedFrom = std::uint64_t{128} << 10;
/// A piece of a body of which copying would be felt: it is handed on with the block that it lies in.
inline constexpr std::size_t kLargePiece = std::size_t{16} << 10;

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
    /// Moves what the two sockets allow without waiting, up to `limit` bytes and a pipe full. What they told
    /// (readiness, end, failure) is in the channels. Precondition: `from.in` and `to.out` are empty, and neither end is
    /// TLS.
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
    /// Ours: pipes in use at most (16 MiB of kernel memory), and no more than this share of the descriptors that the
    /// process may have. Further bodies are copied.
    static constexpr std::size_t kMaxInUse = 64;
    static constexpr std::size_t kShareOfDescriptors = 32;

    BodyPipePool();

    /// An empty pipe, or null.
    [[nodiscard]] std::unique_ptr<BodyPipe> take();
    /// One that still holds bytes is closed, with them. Null is ignored.
    void give_back(std::unique_ptr<BodyPipe> pipe);

private:
    static constexpr std::size_t kMaxFree = 8;

    const std::size_t limit_;
    std::size_t in_use_ = 0;
    std::vector<std::unique_ptr<BodyPipe>> free_;
};

/// A place for a pipe of the pool, which is borrowed at need and goes back by itself. Thread: its pool's.
class BorrowedPipe {
public:
    /// `pool` outlives this object.
    explicit BorrowedPipe(BodyPipePool& pool) noexcept : pool_{pool} {}
    ~BorrowedPipe() { give_back(); }
    BorrowedPipe(const BorrowedPipe&) = delete;
    BorrowedPipe& operator=(const BorrowedPipe&) = delete;

    /// The pipe, from the pool unless it is here already; null where there is none. Good until give_back().
    [[nodiscard]] BodyPipe* borrow() {
        if (!pipe_) pipe_ = pool_.take();
        return pipe_.get();
    }
    [[nodiscard]] bool is_borrowed() const noexcept { return pipe_ != nullptr; }
    /// What the pipe holds, if there is one.
    [[nodiscard]] std::size_t size() const noexcept { return pipe_ ? pipe_->size() : 0; }
    /// As BodyPipePool::give_back(). Idempotent.
    void give_back() {
        if (pipe_) pool_.give_back(std::move(pipe_));
    }

private:
    BodyPipePool& pool_;
    std::unique_ptr<BodyPipe> pipe_;
};

}  // namespace brokerd
