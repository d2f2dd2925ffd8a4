#include "daemon/control/plugin_stream.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "common/os/system_error.h"

namespace brokerd {
namespace {

/// cpp-httplib's own limit for a field. It matters most for the status line, for which it has none: std::regex recurses
/// for each character, and one of 28,000 is past the end of an 8 MiB stack (cpp-httplib 0.11.4, libstdc++ 12).
constexpr std::size_t kMaxLineBytes = 8192;
/// Ours: twice what the proxy lets pass.
constexpr std::size_t kMaxHeadBytes = std::size_t{64} << 10;
constexpr std::size_t kReadBytes = 16384;
constexpr std::size_t kTailBytes = 7;

}  // namespace

std::optional<Error> Patience::wait(int fd, short events, std::optional<std::chrono::milliseconds> pause) const {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until_ - std::chrono::steady_clock::now());
    if (left.count() <= 0) return Error{fmt::format("no answer within {} s", budget_.count() / 1000)};
    std::array<pollfd, 2> polled{{{cancelled_, POLLIN, 0}, {fd, events, 0}}};
    const auto time = pause ? std::min(*pause, left) : left;
    const int ready = ::poll(polled.data(), polled.size(), static_cast<int>(time.count()));
    if (ready < 0 && errno != EINTR) return Error{errno_text(errno)};
    if (polled[0].revents != 0) return Error{"brokerd is shutting down"};
    if (ready == 0 && !pause) return Error{fmt::format("no answer within {} s", budget_.count() / 1000)};
    return std::nullopt;
}

Result<UniqueFd> connect_to(const std::string& path, const Patience& patience) {
    /// A full backlog refuses a non-blocking connect at once, and nothing tells when there is room again.
    constexpr std::chrono::milliseconds kBacklogPause{10};
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return fail(fmt::format("the path {} is too long for a socket", path));
    std::memcpy(address.sun_path, path.data(), path.size());
    UniqueFd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (!socket) return fail(fmt::format("cannot make a socket: {}", errno_text(errno)));
    while (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        if (errno != EAGAIN && errno != EINTR)
            return fail(fmt::format("cannot connect to {}: {}", path, errno_text(errno)));
        if (const auto impatient = patience.wait(-1, 0, kBacklogPause)) return fail(*impatient);
    }
    return socket;
}

ssize_t PluginStream::read(char* bytes, std::size_t size) {
    if (taken_ == buffer_.size()) {
        if (const ssize_t count = fill(); count <= 0) return count;
    }
    const std::string_view taken = std::string_view{buffer_}.substr(taken_, size);
    std::copy(taken.begin(), taken.end(), bytes);
    taken_ += taken.size();
    note(taken);
    if (line_bytes_ > kMaxLineBytes || head_bytes_ > kMaxHeadBytes)
        return fail_with({"the head of its answer is too large"});
    return static_cast<ssize_t>(taken.size());
}

ssize_t PluginStream::write(const char* bytes, std::size_t size) {
    for (;;) {
        if (auto impatient = patience_.wait(socket_, POLLOUT)) return fail_with(std::move(*impatient));
        const ssize_t sent = ::send(socket_, bytes, size, MSG_NOSIGNAL);
        if (sent >= 0) return sent;
        if (errno == EAGAIN || errno == EINTR) continue;
        // A plugin that does not want the body may still have an answer to read.
        if (errno == EPIPE || errno == ECONNRESET) return static_cast<ssize_t>(size);
        return fail_with({fmt::format("sending the request failed: {}", errno_text(errno))});
    }
}

ssize_t PluginStream::fail_with(Error problem) {
    problem_ = std::move(problem);
    return -1;
}

ssize_t PluginStream::fill() {
    for (;;) {
        if (bytes_left_ == 0) return fail_with({"its answer is too large"});
        if (auto impatient = patience_.wait(socket_, POLLIN)) return fail_with(std::move(*impatient));
        buffer_.resize(std::min(kReadBytes, bytes_left_));
        taken_ = 0;
        const ssize_t count = ::recv(socket_, buffer_.data(), buffer_.size(), 0);
        const int code = errno;
        buffer_.resize(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
        if (count < 0 && (code == EAGAIN || code == EINTR)) continue;
        if (count < 0) return fail_with({fmt::format("reading the answer failed: {}", errno_text(code))});
        bytes_left_ -= buffer_.size();
        ended_ = count == 0;
        return count;
    }
}

void PluginStream::note(std::string_view taken) {
    tail_ += taken.substr(taken.size() - std::min(taken.size(), kTailBytes));
    tail_.erase(0, tail_.size() - std::min(tail_.size(), kTailBytes));
    if (!in_head_) return;
    const std::size_t end = taken.rfind('\n');
    line_bytes_ = end == taken.npos ? line_bytes_ + taken.size() : taken.size() - end - 1;
    head_bytes_ += taken.size();
}

}  // namespace brokerd
