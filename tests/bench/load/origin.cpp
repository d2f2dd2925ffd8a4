#include "tests/bench/load/origin.h"

#include <fmt/core.h>
#include <sys/epoll.h>

#include <charconv>

namespace brokerd::bench {
namespace {

constexpr std::string_view kManifest = R"({"Implements":["VolumeDriver"]})";
constexpr std::uint64_t kUsualAnswer = 200;
constexpr std::size_t kReadBytes = 262'144;

std::string answer_head(std::uint64_t length) {
    return fmt::format(
        "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.plugins.v1.1+json\r\nContent-Length: {}\r\n\r\n",
        length);
}

/// "/VolumeDriver.Get16384" asks for 16384 bytes.
std::uint64_t answer_bytes(std::string_view path) {
    const std::size_t digits = path.find_last_not_of("0123456789") + 1;
    std::uint64_t bytes = kUsualAnswer;
    std::from_chars(path.data() + digits, path.data() + path.size(), bytes);
    return bytes;
}

}  // namespace

class Origin::Listener : public Ready {
public:
    Listener(Origin& origin, UniqueFd fd, SSL_CTX* tls) : origin_{origin}, fd_{std::move(fd)}, tls_{tls} {
        origin_.poller_.watch(fd_.get(), EPOLLIN, *this);
    }
    void on_ready(std::uint32_t /*events*/) override {
        while (UniqueFd fd = accept_from(fd_.get())) origin_.add(std::move(fd), tls_);
    }

private:
    Origin& origin_;
    UniqueFd fd_;
    SSL_CTX* tls_;
};

class Origin::Connection : public Ready {
public:
    Connection(Origin& origin, Stream stream) : origin_{origin}, stream_{std::move(stream)} {
        origin_.poller_.watch(stream_.fd(), EPOLLIN | EPOLLRDHUP, *this);
    }
    void on_ready(std::uint32_t /*events*/) override {
        if (!serve()) origin_.drop(*this);
    }

private:
    bool serve() {
        if (answer_.active() && !send()) return false;
        for (;;) {
            const Stream::Outcome outcome = stream_.read(origin_.buffer_.data(), origin_.buffer_.size());
            if (outcome.bytes > 0) {
                const auto progress = request_.take({origin_.buffer_.data(), outcome.bytes}, origin_.heads_);
                if (progress == Incoming::Progress::bad || answer_.active()) return false;
                if (progress == Incoming::Progress::done) {
                    answer_.begin(*request_.answer());
                    if (!send()) return false;
                }
            }
            if (outcome.over) return false;
            if (outcome.blocked) return true;
        }
    }
    bool send() {
        const auto progress = answer_.advance(stream_);
        const bool blocked = progress == Outgoing::Progress::blocked;
        if (blocked != waits_for_room_) {
            // Watched only while it is needed: otherwise every read of the peer would wake us.
            origin_.poller_.rewatch(stream_.fd(), (blocked ? EPOLLOUT : 0U) | EPOLLIN | EPOLLRDHUP, *this);
            waits_for_room_ = blocked;
        }
        return progress != Outgoing::Progress::broken;
    }

    Origin& origin_;
    Stream stream_;
    Incoming request_;
    Outgoing answer_;
    bool waits_for_room_ = false;
};

Origin::Origin(Poller& poller, SSL_CTX* tls)
    : poller_{poller},
      tls_{tls},
      heads_{[this](std::string_view head) { return understand(head); }},
      manifest_{answer_head(kManifest.size()).append(kManifest), 0},
      buffer_(kReadBytes) {}

Origin::~Origin() = default;

Head Origin::understand(std::string_view head) {
    const std::size_t begin = head.find(' ') + 1;
    const std::string_view path = head.substr(begin, head.find(' ', begin) - begin);
    Head result;
    result.good = true;
    result.body = content_length(head, 0);
    if (path == "/Plugin.Activate") {
        result.answer = &manifest_;
    } else {
        const std::uint64_t bytes = answer_bytes(path);
        result.answer = &answers_.try_emplace(bytes, answer_head(bytes), bytes).first->second;
    }
    return result;
}

unsigned Origin::listen(const Address& address) {
    UniqueFd fd = address.listen();
    const unsigned port = port_of(fd.get());
    listeners_.push_back(std::make_unique<Listener>(*this, std::move(fd), address.is_tls() ? tls_ : nullptr));
    return port;
}

void Origin::add(UniqueFd fd, SSL_CTX* tls) {
    auto connection = std::make_shared<Connection>(*this, Stream{std::move(fd), tls});
    connections_.emplace(connection.get(), connection);
}

void Origin::drop(Connection& connection) {
    const auto found = connections_.find(&connection);
    poller_.retire(std::move(found->second));
    connections_.erase(found);
}

}  // namespace brokerd::bench
