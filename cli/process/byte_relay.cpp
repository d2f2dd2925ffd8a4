#include "cli/process/byte_relay.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <string_view>
#include <vector>

#include "common/os/system_error.h"

namespace brokerd::cli {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{128} << 10;

bool try_again(int code) {
    return code == EAGAIN || code == EINTR;
}

/// Writes what goes without waiting. Standard streams may be anything and belong to others too, so that they are not
/// made non-blocking: to what is no socket, and is ready, PIPE_BUF bytes are written at once (pipe(7)).
ssize_t write_some(int fd, std::string_view bytes) {
    const ssize_t count = ::send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count >= 0 || errno != ENOTSOCK) return count;
    return ::write(fd, bytes.data(), std::min<std::size_t>(bytes.size(), PIPE_BUF));
}

/// Bytes on their way from one descriptor to another.
class Direction {
public:
    Direction(int from, int to) : from_{from}, to_{to}, buffer_(kBufferBytes) {}

    /// What to wait for at either end. The writer's errors are told unasked, also while there is nothing to write.
    [[nodiscard]] pollfd reading() const { return {wants_bytes() ? from_ : -1, POLLIN, 0}; }
    [[nodiscard]] pollfd writing() const { return {to_, static_cast<short>(empty() ? 0 : POLLOUT), 0}; }

    void read() {
        const ssize_t count = ::read(from_, buffer_.data(), buffer_.size());
        if (count > 0) {
            begin_ = 0;
            end_ = static_cast<std::size_t>(count);
        } else if (count == 0 || !try_again(errno)) {
            ended_ = true;
            read_error_ = count == 0 ? 0 : errno;
        }
    }

    void write() {
        const ssize_t count = write_some(to_, {buffer_.data() + begin_, end_ - begin_});
        if (count >= 0) {
            begin_ += static_cast<std::size_t>(count);
        } else if (!try_again(errno)) {
            broken_ = true;
        }
    }

    void give_up() noexcept { broken_ = true; }
    /// errno where reading ended with an error, 0 for none.
    [[nodiscard]] int read_error() const noexcept { return read_error_; }
    [[nodiscard]] bool empty() const noexcept { return begin_ == end_; }
    /// Nobody takes the bytes any more.
    [[nodiscard]] bool broken() const noexcept { return broken_; }
    /// All there was is written, or nobody takes it.
    [[nodiscard]] bool done() const noexcept { return broken_ || (ended_ && empty()); }

private:
    [[nodiscard]] bool wants_bytes() const noexcept { return !ended_ && !broken_ && empty(); }

    int from_;
    int to_;
    std::vector<char> buffer_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    bool ended_ = false;
    int read_error_ = 0;
    bool broken_ = false;
};

/// What got lost on the way. ECONNRESET: the other side of a Unix socket has closed it with something unread in it.
std::optional<Error> loss(const Direction& there, const Direction& back) {
    if (!back.empty()) return Error{"whoever reads the output has gone before all was written"};
    if (!there.empty() || back.read_error() == ECONNRESET)
        return Error{"brokerd closed the connection before it had taken all that was sent; see: journalctl -u brokerd"};
    if (back.read_error() != 0) return Error{"cannot read from brokerd: " + errno_text(back.read_error())};
    if (there.read_error() != 0) return Error{"cannot read the input: " + errno_text(there.read_error())};
    return std::nullopt;
}

}  // namespace

std::optional<Error> relay_bytes(int in, int out, int socket) {
    Direction there{in, socket};
    Direction back{socket, out};
    bool half_closed = false;
    while (!back.done()) {
        std::array<pollfd, 4> polled{there.reading(), there.writing(), back.reading(), back.writing()};
        if (half_closed) polled[1].fd = -1;
        if (::poll(polled.data(), polled.size(), -1) < 0) {
            if (errno == EINTR) continue;
            return Error{"cannot wait for input and output: " + errno_text(errno)};
        }
        const auto failed = [](const pollfd& one) { return (one.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0; };
        if (polled[0].revents != 0) there.read();
        if ((polled[1].revents & POLLOUT) != 0) there.write();
        // The socket may be shut in both directions with its last bytes still to be read.
        if (failed(polled[1])) there.give_up();
        if (polled[2].revents != 0) back.read();
        if (failed(polled[3])) break;
        if ((polled[3].revents & POLLOUT) != 0) back.write();
        if (there.done() && !half_closed) {
            ::shutdown(socket, SHUT_WR);
            half_closed = true;
        }
    }
    return loss(there, back);
}

}  // namespace brokerd::cli
