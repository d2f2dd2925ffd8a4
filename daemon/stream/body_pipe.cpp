#include "daemon/stream/body_pipe.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

namespace brokerd {
namespace {

/// Ours, and what systemd-socket-proxyd asks for: more did not move bytes faster.
constexpr std::size_t kPipeBytes = std::size_t{256} << 10;
/// Ours: as good as full, because its slots run out before its bytes.
constexpr std::size_t kFullPipeBytes = std::size_t{128} << 10;

std::size_t descriptor_limit() {
    rlimit limit{};
    return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? static_cast<std::size_t>(limit.rlim_cur) : 0;
}

}  // namespace

std::unique_ptr<BodyPipe> BodyPipe::make() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) return nullptr;
    std::unique_ptr<BodyPipe> pipe{new BodyPipe{UniqueFd{ends[0]}, UniqueFd{ends[1]}}};
    ::fcntl(ends[1], F_SETPIPE_SZ,
            static_cast<int>(kPipeBytes));  // where that is refused, the default of 64 KiB has to do
    return pipe;
}

BodyPipe::Moved BodyPipe::move(Channel& from, Channel& to, std::uint64_t limit) {
    Moved moved;
    for (;;) {
        const std::size_t room = kPipeBytes - held_;
        const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(limit - moved.came, room));
        // The kernel does not tell a full pipe from an empty socket: only with an empty pipe it is the socket.
        const std::size_t came = wanted > 0 ? from.splice_in(write_end_.get(), wanted, held_ == 0) : 0;
        if (came == 0) break;
        held_ += came;
        moved.came += came;
    }
    if (held_ > 0) moved.left = to.splice_out(read_end_.get(), held_);
    held_ -= moved.left;
    // What comes while the reader is slow and the pipe is full would wake us up for nothing.
    from.watch_reading(held_ < kFullPipeBytes || to.can_write());
    return moved;
}

BodyPipePool::BodyPipePool() : limit_{std::min(kMaxInUse, descriptor_limit() / kShareOfDescriptors)} {}

std::unique_ptr<BodyPipe> BodyPipePool::take() {
    if (in_use_ >= limit_) return nullptr;
    std::unique_ptr<BodyPipe> pipe;
    if (free_.empty()) {
        pipe = BodyPipe::make();
    } else {
        pipe = std::move(free_.back());
        free_.pop_back();
    }
    if (pipe) ++in_use_;
    return pipe;
}

void BodyPipePool::give_back(std::unique_ptr<BodyPipe> pipe) {
    if (pipe) --in_use_;
    if (pipe && pipe->size() == 0 && free_.size() < kMaxFree) free_.push_back(std::move(pipe));
}

}  // namespace brokerd
