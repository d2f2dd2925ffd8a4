#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "common/os/system_error.h"
#include "daemon/control/job.h"
#include "daemon/control/job_link.h"

// Why a pipe and not a queue: unpackers, which run in processes of their own, read descriptors; a pipe is bounded,
// wakes its reader, and costs one copy more than the fastest way, which is a fraction of what checking and unpacking
// cost.

namespace brokerd {
namespace {

/// Ours: as much as the proxy's pipes hold.
constexpr int kPipeBytes = 256 * 1024;

/// Until `pipe` has bytes or has ended; false when the job is cancelled first.
bool wait_for_bytes(int pipe, int cancelled) {
    std::array<pollfd, 2> waiting{pollfd{pipe, POLLIN, 0}, pollfd{cancelled, POLLIN, 0}};
    while (::poll(waiting.data(), waiting.size(), -1) < 0) {
        if (errno != EINTR) throw_errno("poll");
    }
    return waiting[1].revents == 0;
}

}  // namespace

std::optional<Error> JobBody::open() {
    if (pipe_) return std::nullopt;
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        return Error{fmt::format("the request's body cannot be read: no pipe: {}", errno_text(errno))};
    }
    UniqueFd writing{ends[1]};
    pipe_.reset(ends[0]);
    ::fcntl(writing.get(), F_SETFL, O_NONBLOCK);
    ::fcntl(writing.get(), F_SETPIPE_SZ, kPipeBytes);  // where that is refused, the default of 64 KiB has to do
    if (link_.body() != BodyState::coming) return std::nullopt;
    if (link_.settings().expects_continue && !link_.is_answered()) {
        // These few bytes fit into an empty socket buffer, or the client does not read at all.
        constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
        [[maybe_unused]] const auto ignored =
            ::send(link_.socket(), kContinue.data(), kContinue.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    link_.want_body(std::move(writing));
    return std::nullopt;
}

std::optional<Error> JobBody::why_it_ended() const {
    if (link_.is_cancelled()) return Error{"the client went away, or brokerd is shutting down"};
    switch (link_.body()) {
        case BodyState::whole:
            return std::nullopt;
        case BodyState::too_slow:
            return Error{"the request's body did not arrive in time; send it again"};
        case BodyState::malformed:
            return Error{fmt::format("the request's body is not valid HTTP: {}", link_.malformed_because())};
        case BodyState::unwanted:
            return Error{"the request was answered before its body was read"};
        case BodyState::coming:
        case BodyState::cut_off:
            break;
    }
    return Error{"the connection ended in the middle of the request's body"};
}

Result<std::size_t> JobBody::read(char* bytes, std::size_t size) {
    if (auto problem = open()) return fail(std::move(*problem));
    for (;;) {
        if (!wait_for_bytes(pipe_.get(), link_.cancelled())) break;
        const ssize_t count = ::read(pipe_.get(), bytes, size);
        if (count > 0) return static_cast<std::size_t>(count);
        if (count == 0) break;
        if (errno != EINTR) throw_errno("read from a request's pipe");
    }
    if (auto problem = why_it_ended()) return fail(std::move(*problem));
    return std::size_t{0};
}

Result<std::string> JobBody::read_all(std::size_t limit) {
    std::string all;
    std::array<char, 16384> piece;
    for (;;) {
        const auto count = read(piece.data(), piece.size());
        if (!count) return fail(count.error());
        if (*count == 0) return all;
        if (*count > limit - all.size()) {
            return fail(fmt::format("the request's body is larger than {} bytes", limit));
        }
        all.append(piece.data(), *count);
    }
}

Result<UniqueFd> JobBody::as_pipe() {
    if (auto problem = open()) return fail(std::move(*problem));
    UniqueFd copy{::fcntl(pipe_.get(), F_DUPFD_CLOEXEC, 0)};
    if (!copy) return fail(fmt::format("the request's body cannot be read: {}", errno_text(errno)));
    return copy;
}

std::optional<Error> JobBody::end() {
    std::array<char, 65536> piece;
    for (std::size_t dropped = 0; dropped <= kMaxRest;) {
        const auto count = read(piece.data(), piece.size());
        if (!count) return count.error();
        if (*count == 0) return std::nullopt;
        dropped += *count;
    }
    return Error{fmt::format("the request's body goes on for more than {} bytes behind its end", kMaxRest)};
}

}  // namespace brokerd
