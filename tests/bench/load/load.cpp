#include "tests/bench/load/load.h"

#include <fmt/core.h>
#include <sys/epoll.h>

#include <algorithm>

#include "common/os/system_error.h"

namespace brokerd::bench {
namespace {

constexpr std::size_t kReadBytes = 262'144;
constexpr std::uint64_t kMaxErrors = 100;  // then the run is given up: it is invalid anyway
constexpr std::size_t kHeldAtATime = 16;   // so that the proxy need not open a connection to the plugin for each
constexpr std::chrono::seconds kSilenceLimit{20};  // without any answer

/// As dockerd's client sends it; only its Host, which is empty, would be refused by nginx.
std::string request_head(const Task& task) {
    return fmt::format(
        "POST {} HTTP/1.1\r\nHost: plugin\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: {}\r\n"
        "Accept: application/vnd.docker.plugins.v1.1+json\r\nAccept-Encoding: gzip\r\n\r\n",
        task.path, task.body);
}

}  // namespace

/// One connection.
class Load::Client : public Ready {
public:
    Client(Load& load, const Address& to) : load_{load}, to_{to} {}

    void begin(Clock::time_point now) {
        ++load_.begun_;
        ++load_.busy_;
        busy_ = true;
        begun_ = now;
        if (stream_.fd() < 0 && !connect()) return fail("connect: " + errno_text(errno));
        request_.begin(load_.request_);
        send();
    }
    bool connect() {
        UniqueFd fd = to_.connect();
        if (!fd) return false;
        stream_ = Stream{std::move(fd)};
        answer_ = Incoming{};
        waits_for_room_ = false;
        load_.poller_.watch(stream_.fd(), EPOLLIN | EPOLLRDHUP, *this);
        return true;
    }
    void on_ready(std::uint32_t /*events*/) override {
        if (request_.active() && !send()) return;
        while (stream_.fd() >= 0) {
            const Stream::Outcome outcome = stream_.read(load_.buffer_.data(), load_.buffer_.size());
            if (outcome.bytes > 0 && !take({load_.buffer_.data(), outcome.bytes})) return;
            if (outcome.over) return ended();
            if (outcome.blocked) return;
        }
    }
    [[nodiscard]] bool busy() const noexcept { return busy_; }

private:
    bool send() {
        const auto progress = request_.advance(stream_);
        if (progress == Outgoing::Progress::broken) {
            fail("write: " + errno_text(errno));
            return false;
        }
        const bool blocked = progress == Outgoing::Progress::blocked;
        if (blocked != waits_for_room_) {
            load_.poller_.rewatch(stream_.fd(), (blocked ? EPOLLOUT : 0U) | EPOLLIN | EPOLLRDHUP, *this);
            waits_for_room_ = blocked;
        }
        return true;
    }
    bool take(std::string_view bytes) {
        if (!busy_) return fail("an answer to no request"), false;
        const auto progress = answer_.take(bytes, load_.heads_);
        if (progress == Incoming::Progress::bad) return fail(fmt::format("answer: {:.300}", bytes)), false;
        if (progress == Incoming::Progress::more) return true;
        if (request_.active()) return fail("an answer before the request was sent"), false;
        done();
        return true;
    }
    void done() {
        const auto now = Clock::now();
        load_.record(begun_, now);
        rest();
        if (load_.task_.churn) stream_ = Stream{};
        if (load_.task_.hold) return load_.start_next_held();
        if (load_.wants_more(now)) begin(now);
    }
    void rest() {
        --load_.busy_;
        busy_ = false;
    }
    void ended() {
        if (busy_) return fail(answer_.begun() ? "closed within an answer" : "closed without an answer");
        if (load_.task_.hold) return fail("an idle connection was closed");
        stream_ = Stream{};
    }
    void fail(const std::string& why) {
        if (busy_) rest();
        request_ = Outgoing{};
        stream_ = Stream{};
        load_.fail(why);
        if (load_.task_.hold) return load_.start_next_held();
        const auto now = Clock::now();
        if (load_.wants_more(now)) begin(now);
    }

    Load& load_;
    const Address& to_;
    Stream stream_;
    Outgoing request_;
    Incoming answer_;
    Clock::time_point begun_;
    bool busy_ = false;
    bool waits_for_room_ = false;
};

Load::Load(Poller& poller, Task task)
    : poller_{poller},
      task_{std::move(task)},
      request_{request_head(task_), task_.body},
      heads_{[expected = task_.answer](std::string_view head) {
          Head result;
          result.body = content_length(head, expected + 1);
          result.good = head.starts_with("HTTP/1.1 200 ") && result.body == expected;
          return result;
      }},
      buffer_(kReadBytes) {
    for (unsigned number = 0; number < task_.connections; ++number) {
        clients_.push_back(std::make_unique<Client>(*this, task_.to[number % task_.to.size()]));
    }
}

Load::~Load() = default;

bool Load::wants_more(Clock::time_point now) const {
    if (result_.errors >= kMaxErrors) return false;
    return task_.requests > 0 ? begun_ < task_.requests : now < measured_to_;
}

void Load::record(Clock::time_point begun, Clock::time_point ended) {
    ++result_.all;
    last_answer_ = ended;
    if (ended < measured_from_ || ended > measured_to_) return;
    ++result_.measured;
    result_.latency.record(static_cast<std::uint64_t>((ended - begun).count()));
}

void Load::fail(const std::string& why) {
    if (result_.errors++ == 0) result_.first_error = why;
}

void Load::start_next_held() {
    if (next_held_ == clients_.size() || result_.errors >= kMaxErrors) return;
    Client& client = *clients_[next_held_++];
    client.begin(Clock::now());
}

Result Load::run() {
    const auto start = Clock::now();
    last_answer_ = start;
    measured_from_ = start + task_.warm_up;
    measured_to_ = task_.time.count() > 0 ? measured_from_ + task_.time : Clock::time_point::max();
    if (task_.silent) {
        for (auto& client : clients_) {
            if (!client->connect()) fail("connect: " + errno_text(errno));
        }
        return result_;
    }
    if (task_.hold) {
        for (std::size_t count = 0; count < kHeldAtATime; ++count) start_next_held();
    } else {
        for (auto& client : clients_) {
            if (wants_more(start)) client->begin(Clock::now());
        }
    }
    while (busy_ > 0) {
        poller_.poll(1000);
        if (Clock::now() - std::max(last_answer_, start) < kSilenceLimit) continue;
        result_.errors += busy_;
        result_.first_error = fmt::format("{} requests without an answer after {} s", busy_, kSilenceLimit.count());
        break;
    }
    const auto end = task_.time.count() > 0 ? measured_to_ : last_answer_;
    result_.seconds = std::chrono::duration<double>(end - measured_from_).count();
    return result_;
}

}  // namespace brokerd::bench
