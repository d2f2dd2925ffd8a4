#include "daemon/stream/body_pipe.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace brokerd;

namespace {

struct NoHandler final : EventHandler {
    void on_events(std::uint32_t) override {}
};

/// A channel and the other end of its socket.
struct End {
    explicit End(EventLoop& loop, BlockPool& blocks) : channel{loop, blocks} {
        std::array<int, 2> fds{};
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds.data()) == 0);
        channel.open(UniqueFd{fds[0]}, handler, false);
        channel.assume_ready();
        peer = UniqueFd{fds[1]};
    }
    std::string read_all() const {
        std::string bytes(1 << 20, '\0');
        const ssize_t count = ::recv(peer.get(), bytes.data(), bytes.size(), 0);
        bytes.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
        return bytes;
    }

    NoHandler handler;
    Channel channel;
    UniqueFd peer;
};

/// Sends `bytes` and a descriptor: the reader's next read or splice ends behind them.
void send_with_descriptor(int socket, std::string_view bytes) {
    iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &socket, sizeof socket);
    REQUIRE(::sendmsg(socket, &message, 0) == static_cast<ssize_t>(bytes.size()));
}

/// Where bytes come from, and where they go.
struct Ends {
    EventLoop loop;
    BlockPool blocks;
    End from{loop, blocks};
    End to{loop, blocks};
};

}  // namespace

TEST_CASE_METHOD(Ends, "a pipe moves no more than it is allowed, and tells the rest", "[proxy]") {
    const auto pipe = BodyPipe::make();
    REQUIRE(pipe != nullptr);
    REQUIRE(::send(from.peer.get(), "bodynext", 8, 0) == 8);
    const auto moved = pipe->move(from.channel, to.channel, 4);
    CHECK(moved.came == 4);
    CHECK(moved.left == 4);
    CHECK(pipe->size() == 0);
    CHECK(to.read_all() == "body");
    CHECK(to.channel.written == 4);
    CHECK(pipe->move(from.channel, to.channel, 100).came == 4);
    CHECK(pipe->move(from.channel, to.channel, 100).came == 0);  // nothing now
    CHECK_FALSE(from.channel.ended);
}

TEST_CASE_METHOD(Ends, "a pipe tells the end and keeps what the reader does not take", "[proxy]") {
    const auto pipe = BodyPipe::make();
    const std::string piece(64 << 10, 'x');
    std::size_t came = 0;
    for (int i = 0; i < 64; ++i) {  // far more than the sockets and the pipe hold
        static_cast<void>(::send(from.peer.get(), piece.data(), piece.size(), MSG_NOSIGNAL));
        from.channel.assume_ready();
        came += pipe->move(from.channel, to.channel, UINT64_MAX).came;
    }
    CHECK(pipe->size() > 0);
    CHECK_FALSE(to.channel.can_write());
    ::shutdown(from.peer.get(), SHUT_WR);
    std::size_t read = 0;
    for (int i = 0; i < 256 && !(from.channel.ended && pipe->size() == 0); ++i) {
        read += to.read_all().size();
        from.channel.assume_ready();
        to.channel.note(EPOLLOUT);
        came += pipe->move(from.channel, to.channel, UINT64_MAX).came;
    }
    CHECK(from.channel.ended);
    for (std::string rest = to.read_all(); !rest.empty(); rest = to.read_all()) read += rest.size();
    CHECK(read == came);
}

TEST_CASE_METHOD(Ends, "what lies behind descriptors is moved without the loop telling of it", "[proxy]") {
    const auto pipe = BodyPipe::make();
    REQUIRE(pipe != nullptr);
    for (const std::string_view piece : {"head", "one", "two", "three"}) send_with_descriptor(from.peer.get(), piece);
    from.channel.note(EPOLLIN);  // of all that there is
    CHECK(from.channel.fill(false));
    CHECK(from.channel.in.bytes() == "head");
    from.channel.in.consume(4);
    std::size_t came = 0;
    for (int i = 0; i < 4; ++i) came += pipe->move(from.channel, to.channel, 100).came;
    CHECK(came == 11);
    CHECK(to.read_all() == "onetwothree");
}

TEST_CASE("so many pipes are lent and no more", "[proxy]") {
    BodyPipePool pool;
    std::vector<std::unique_ptr<BodyPipe>> lent;
    while (auto pipe = pool.take()) lent.push_back(std::move(pipe));
    CHECK_FALSE(lent.empty());
    CHECK(lent.size() <= BodyPipePool::kMaxInUse);
    pool.give_back(std::move(lent.back()));
    const auto again = pool.take();
    CHECK(again != nullptr);
    CHECK(pool.take() == nullptr);
}

TEST_CASE_METHOD(Ends, "only an empty pipe is used again", "[proxy]") {
    BodyPipePool pool;
    auto pipe = pool.take();
    const BodyPipe* const first = pipe.get();
    pool.give_back(std::move(pipe));
    pipe = pool.take();
    CHECK(pipe.get() == first);
    to.channel.close();
    REQUIRE(::send(from.peer.get(), "lost", 4, 0) == 4);
    CHECK(pipe->move(from.channel, to.channel, 4).left == 0);
    CHECK(pipe->size() == 4);
    pool.give_back(std::move(pipe));
    CHECK(pool.take()->size() == 0);
    pool.give_back(nullptr);
}
