#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "common/os/system_error.h"
#include "daemon/control/job.h"
#include "daemon/control/job_link.h"

// The job's own thread writes to the socket: no queue, no copy, no thread to be woken, and the socket's buffer (208 KiB
// unless the host says otherwise) is the back-pressure. The server's thread keeps away from the writing side until it
// is told how the job has ended.

namespace brokerd {
namespace {

enum class Wait { ready, cancelled, stalled };

Wait wait_for_room(int socket, int cancelled, std::chrono::milliseconds stall) {
    std::array<pollfd, 2> waiting{pollfd{socket, POLLOUT, 0}, pollfd{cancelled, POLLIN, 0}};
    const int count = ::poll(waiting.data(), waiting.size(), static_cast<int>(stall.count()));
    if (count < 0 && errno != EINTR) throw_errno("poll");
    if (count == 0) return Wait::stalled;
    return count > 0 && waiting[1].revents != 0 ? Wait::cancelled : Wait::ready;
}

/// What is left of `pieces` behind their first `count` bytes.
void consume(std::vector<std::string_view>& pieces, std::size_t count) {
    for (std::string_view& piece : pieces) {
        const std::size_t taken = std::min(count, piece.size());
        piece.remove_prefix(taken);
        count -= taken;
    }
    std::erase_if(pieces, [](std::string_view piece) { return piece.empty(); });
}

ssize_t send_some(int socket, const std::vector<std::string_view>& pieces) {
    std::array<iovec, 3> parts{};
    msghdr message{};
    message.msg_iov = parts.data();
    for (const std::string_view piece : pieces) {
        iovec& part = parts.at(message.msg_iovlen++);
        part.iov_base = const_cast<char*>(piece.data());
        part.iov_len = piece.size();
    }
    return ::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace

/// At most three pieces, one after another.
bool JobReply::send(std::vector<std::string_view> pieces) {
    for (consume(pieces, 0); !pieces.empty();) {
        if (link_.is_cancelled()) break;
        const ssize_t count = send_some(link_.socket(), pieces);
        if (count >= 0) {
            consume(pieces, static_cast<std::size_t>(count));
        } else if (errno == EAGAIN) {
            if (wait_for_room(link_.socket(), link_.cancelled(), link_.settings().write_stall) != Wait::ready) break;
        } else if (errno != EINTR) {
            break;
        }
    }
    if (pieces.empty()) return true;
    state_ = State::over;
    link_.conclude({std::nullopt, true});
    return false;
}

void JobReply::reply(ControlReply reply) {
    if (state_ != State::none) return;
    state_ = State::over;
    link_.set_answered();
    link_.conclude({std::move(reply), false});
}

bool JobReply::start(unsigned status, std::string_view content_type, const Headers& headers) {
    if (state_ != State::none) return false;
    state_ = State::started;
    link_.set_answered();
    return send({stream_head(status, content_type, headers, link_.settings().chunked, link_.settings().keep_alive)});
}

bool JobReply::write(std::string_view bytes) {
    if (state_ != State::started) return false;
    if (bytes.empty() || link_.settings().to_head) return !link_.is_cancelled();
    if (!link_.settings().chunked) return send({bytes});
    return send({fmt::format("{:x}\r\n", bytes.size()), bytes, "\r\n"});
}

void JobReply::fail_with(ControlReply error) {
    if (state_ == State::none) return reply(std::move(error));
    if (state_ == State::over) return;
    state_ = State::over;
    link_.conclude({std::nullopt, true});
}

void JobReply::finish() {
    if (state_ != State::started) return;
    if (link_.settings().chunked && !link_.settings().to_head && !send({"0\r\n\r\n"})) return;
    state_ = State::over;
    link_.conclude({});
}

}  // namespace brokerd
