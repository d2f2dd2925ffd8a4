// Answers as the registry client reads them from a connection: daemon/registry/registry_connection.h. Over a real one
// to this process, which has sent all of it before the client asks.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/os/unique_fd.h"
#include "daemon/registry/registry_connection.h"
#include "tests/fuzz/checks.h"
#include "tests/fuzz/http_messages.h"

namespace brokerd::fuzz::registry_answer_target {
namespace {

/// More would not fit into the sockets' buffers, and nobody reads while it is written.
constexpr std::size_t kLongest = std::size_t{16} << 10;

class Server {
public:
    Server() : listener_{socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        expect(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                   listen(listener_.get(), 1) == 0 &&
                   getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0,
               "a port of this host can be had");
        port_ = ntohs(address.sin_port);
    }

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

    /// The other end of a connection that has been made; it is reset when it goes, so that no port stays in use.
    [[nodiscard]] UniqueFd answer(std::string_view bytes) const {
        UniqueFd peer{accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)};
        const linger at_once{1, 0};
        expect(peer && setsockopt(peer.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0,
               "a connection can be accepted");
        expect(send(peer.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()),
               "an answer can be sent");
        shutdown(peer.get(), SHUT_WR);
        return peer;
    }

private:
    UniqueFd listener_;
    std::uint16_t port_ = 0;
};

/// What the strict parser reads of the same bytes, interim answers left out.
ReadMessage expected(std::string_view bytes) {
    for (;;) {
        ReadMessage read = read_message(bytes, MessageKind::response, [](std::size_t left) { return left; });
        if (read.head_status != ParseStatus::done || read.head.status >= 200) return read;
        bytes.remove_prefix(read.head.bytes);
    }
}

}  // namespace

void try_input(std::string_view input) {
    static const Server server;
    if (input.size() > kLongest) return;
    const TransferPatience patience{std::chrono::seconds{5}, std::chrono::seconds{5}, -1};
    auto stream = NetStream::connect("127.0.0.1", server.port(), std::chrono::seconds{5}, -1);
    expect(static_cast<bool>(stream), "this host can be connected to", stream ? "" : stream.error().message);
    const UniqueFd peer = server.answer(input);
    RegistryConnection connection{*std::move(stream)};
    const auto answer = connection.exchange("GET / HTTP/1.1\r\nHost: x\r\n\r\n", nullptr, false, patience);
    const ReadMessage strict = expected(input);
    if (!answer) {
        expect_sentence(answer.error().message);
        return;
    }
    expect(strict.head_status == ParseStatus::done && answer->status == strict.head.status,
           "an answer that is taken is well-formed");
    expect(answer->fields.size() == strict.head.fields.size(), "an answer has all its fields");
    std::string body;
    const auto read = connection.read_body(
        [&](std::string_view piece) -> RegistryResult<std::monostate> {
            body += piece;
            return std::monostate{};
        },
        patience);
    const bool is_whole = strict.body_status == ParseStatus::done || strict.may_end_here;
    expect(static_cast<bool>(read) == is_whole, "a body is whole, or an error");
    if (!read) return expect_sentence(read.error().message);
    expect(body == strict.body, "a body is what was sent");
    expect(!connection.is_reusable() || strict.head.keep_alive, "a connection is kept where both sides keep it");
}

}  // namespace brokerd::fuzz::registry_answer_target
