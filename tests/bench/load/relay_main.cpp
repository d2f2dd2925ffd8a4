// What copying alone costs: bench_relay FROM TO accepts connections on the address FROM, opens one to TO for each, and
// copies bytes both ways. It parses nothing. It ends on a signal.

#include <fmt/core.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <string>
#include <vector>

#include "tests/bench/load/address.h"
#include "tests/bench/load/poller.h"
#include "tests/bench/load/stream.h"

namespace brokerd::bench {
namespace {

constexpr std::size_t kBuffer = 262'144;

struct Relay;

/// Two connections. It owns itself, and goes when one of them breaks or both have ended.
class Pair : public std::enable_shared_from_this<Pair> {
public:
    Pair(Relay& relay, Stream client, Stream plugin)
        : relay_{relay}, a_{*this, std::move(client)}, b_{*this, std::move(plugin)} {}
    void start();

private:
    struct Side : Ready {
        Side(Pair& owner, Stream socket) : pair{owner}, stream{std::move(socket)} {}
        void on_ready(std::uint32_t events) override { pair.advance(*this, events); }
        Pair& pair;
        Stream stream;
        std::string unsent;  ///< read from the other side, and not yet taken by this one
        bool waits_for_room = false;
        bool ended = false;  ///< nothing more comes from this side
    };
    void advance(Side& ready, std::uint32_t events);
    /// False: broken.
    bool copy(Side& from, Side& to);
    bool send(Side& to, const char* bytes, std::size_t size);

    Relay& relay_;
    Side a_, b_;
    std::shared_ptr<Pair> self_;
};

struct Relay : Ready {
    Relay(const Address& from, Address target) : to{std::move(target)}, listener{from.listen()}, buffer(kBuffer) {
        poller.watch(listener.get(), EPOLLIN, *this);
    }
    void on_ready(std::uint32_t /*events*/) override {
        while (UniqueFd client = accept_from(listener.get())) {
            UniqueFd plugin = to.connect();
            if (!plugin) continue;
            std::make_shared<Pair>(*this, Stream{std::move(client)}, Stream{std::move(plugin)})->start();
        }
    }
    Poller poller;
    Address to;
    UniqueFd listener;
    std::vector<char> buffer;
};

void Pair::start() {
    self_ = shared_from_this();
    relay_.poller.watch(a_.stream.fd(), EPOLLIN | EPOLLRDHUP, a_);
    relay_.poller.watch(b_.stream.fd(), EPOLLIN | EPOLLRDHUP, b_);
}

void Pair::advance(Side& ready, std::uint32_t events) {
    if (!self_) return;  // retired in this batch
    Side& other = &ready == &a_ ? b_ : a_;
    const bool readable = (events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0;
    const bool writable = (events & EPOLLOUT) != 0;
    if ((!readable || copy(ready, other)) && (!writable || copy(other, ready)) && !(a_.ended && b_.ended)) return;
    ::shutdown(a_.stream.fd(), SHUT_RDWR);
    ::shutdown(b_.stream.fd(), SHUT_RDWR);
    relay_.poller.retire(std::move(self_));
}

bool Pair::copy(Side& from, Side& to) {
    if (!to.unsent.empty()) {
        const std::string bytes = std::move(to.unsent);
        to.unsent.clear();
        if (!send(to, bytes.data(), bytes.size())) return false;
    }
    while (to.unsent.empty() && !from.ended) {
        const Stream::Outcome outcome = from.stream.read(relay_.buffer.data(), relay_.buffer.size());
        if (outcome.bytes > 0 && !send(to, relay_.buffer.data(), outcome.bytes)) return false;
        if (outcome.over) from.ended = true;
        if (outcome.over || outcome.blocked) break;
    }
    if (from.ended && to.unsent.empty()) ::shutdown(to.stream.fd(), SHUT_WR);
    return true;
}

bool Pair::send(Side& to, const char* bytes, std::size_t size) {
    const Stream::Outcome outcome = to.stream.write(bytes, size);
    if (outcome.over) return false;
    to.unsent.assign(bytes + outcome.bytes, size - outcome.bytes);
    if (outcome.blocked != to.waits_for_room) {
        relay_.poller.rewatch(to.stream.fd(), (outcome.blocked ? EPOLLOUT : 0U) | EPOLLIN | EPOLLRDHUP, to);
        to.waits_for_room = outcome.blocked;
    }
    return true;
}

}  // namespace
}  // namespace brokerd::bench

int main(int argc, char** argv) try {
    using namespace brokerd::bench;
    if (argc != 3) throw std::invalid_argument{"usage: bench_relay FROM TO"};
    Relay relay{Address{argv[1]}, Address{argv[2]}};
    for (;;) relay.poller.poll(-1);
} catch (const std::exception& error) {
    fmt::print(stderr, "bench_relay: {}\n", error.what());
    return 1;
}
