#include "daemon/proxy/upstream.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "common/os/system_error.h"

namespace brokerd {
namespace {

/// Ours: 1xx heads before the final one; more is a plugin gone mad.
constexpr unsigned kMaxInterimResponses = 16;
/// Rounds of reading and parsing before others get their turn: about 1 MiB.
constexpr int kRoundsPerTurn = 16;

/// The plugin or the host is busy, not down.
bool is_passing(int code) {
    return code == EAGAIN || code == EMFILE || code == ENFILE || code == ENOMEM || code == ENOBUFS;
}

std::string connect_problem(int code, const Target& target) {
    switch (code) {
        case ENOENT:
            return fmt::format("nothing listens on {} (no such socket)", target.url);
        case ECONNREFUSED:
            return fmt::format("nothing listens on {} (connection refused)", target.url);
        default:
            return fmt::format("connecting to {} failed: {}", target.url, errno_text(code));
    }
}

}  // namespace

Upstream::Upstream(ThreadContext& context, std::shared_ptr<const Target> target)
    : context_{context}, target_{std::move(target)} {}

Upstream::~Upstream() {
    close();
}

void Upstream::connect(UpstreamUser& user) {
    user_ = &user;
    began_ = context_.loop.now();
    // Failing within this call would call the user back while it is still setting up.
    context_.loop.post([self = weak_from_this()] {
        if (const auto upstream = self.lock()) upstream->try_next_address();
    });
}

void Upstream::try_next_address() {
    if (state_ == State::closed) return;
    if (next_address_ == target_->addresses.size()) {
        UpstreamUser* const user = user_;
        close();
        if (user != nullptr) user->on_connect_failed(last_reason_, last_refused_);
        return;
    }
    const SocketAddress& address = target_->addresses[next_address_++];
    UniqueFd socket{::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    if (socket && address.storage.ss_family != AF_UNIX) {
        // What is written is meant to leave: Nagle's algorithm would hold the end of a request for the peer's delayed
        // ACK.
        const int on = 1;
        ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    int code = 0;
    // EAGAIN: a Unix socket whose backlog is full; there is nothing to wait for on it (connect(2)).
    if (!socket || ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.length) != 0)
        code = errno;
    if (is_passing(code) && context_.loop.now() - began_ < kBusyLimit) return try_again_later();
    if (code != 0 && code != EINPROGRESS) return address_failed(connect_problem(code, *target_), false);
    channel_.emplace(context_.blocks, Stream{std::move(socket)});
    state_ = State::connecting;
    context_.deadlines.set(*this, kConnectLimit);
    context_.loop.add(channel_->stream.fd(), Channel::kEvents, *this);
    if (code == 0) on_connecting();
}

void Upstream::try_again_later() {
    --next_address_;
    waits_to_retry_ = true;
    context_.deadlines.set(*this, EventLoop::kTick);
}

void Upstream::address_failed(const std::string& reason, bool refused) {
    last_reason_ = reason;
    last_refused_ = refused;
    DeadlineList::clear(*this);
    if (channel_) {
        context_.loop.remove(channel_->stream.fd());
        channel_->stream.close();
    }
    context_.loop.post([self = weak_from_this()] {
        if (const auto upstream = self.lock()) upstream->try_next_address();
    });
}

void Upstream::on_connecting() {
    int code = 0;
    socklen_t size = sizeof code;
    ::getsockopt(channel_->stream.fd(), SOL_SOCKET, SO_ERROR, &code, &size);
    if (code != 0) return address_failed(connect_problem(code, *target_), false);
    if (!target_->tls) return connected();
    channel_->stream.start_tls(target_->tls->new_session());
    state_ = State::tls_handshake;
    on_handshaking();
}

void Upstream::on_handshaking() {
    const Stream::Moved result = channel_->stream.handshake();
    if (result.status == Stream::Status::again) return;
    if (result.status == Stream::Status::ok) return connected();
    const std::string& error = channel_->stream.error();
    address_failed(error.empty() ? "TLS: the plugin closed the connection during the handshake" : error,
                   channel_->stream.tls_refused());
}

void Upstream::connected() {
    DeadlineList::clear(*this);
    channel_->assume_ready();
    begin(*user_);
    user_->on_upstream_ready();
}

void Upstream::begin(UpstreamUser& user) {
    user_ = &user;
    on_idle_end_ = nullptr;
    body_expected_ = true;
    restart_parser();
    interim_responses_ = 0;
    written_before_ = channel_->written;
    state_ = State::exchanging;
}

void Upstream::restart_parser() {
    channel_->in.make_room(kMaxHeadBytes);  // a head must not move while it is parsed
    parser_.emplace();
    if (!body_expected_) parser_->expect_no_body();
    head_done_ = false;
}

void Upstream::park(std::function<void(Upstream&)> on_idle_end) {
    user_ = nullptr;
    on_idle_end_ = std::move(on_idle_end);
    state_ = State::idle;
}

void Upstream::close() {
    if (state_ == State::closed) return;
    state_ = State::closed;
    user_ = nullptr;
    DeadlineList::clear(*this);
    if (channel_ && channel_->stream.is_open()) {
        context_.loop.remove(channel_->stream.fd());
        channel_->stream.close();
        channel_->in.clear();
        channel_->out.clear();
    }
}

void Upstream::fail(const std::string& reason) {
    tell_failure(reason, false);
}

void Upstream::refuse(const std::string& problem) {
    tell_failure("its answer is not valid HTTP/1.1: " + problem, true);
}

void Upstream::tell_failure(const std::string& reason, bool malformed) {
    UpstreamUser* const user = std::exchange(user_, nullptr);
    if (user != nullptr) user->on_upstream_failed(reason, malformed);
}

void Upstream::on_deadline() {
    const auto self = shared_from_this();
    if (std::exchange(waits_to_retry_, false)) return try_next_address();
    address_failed(fmt::format("{} did not complete the connection within {} s", target_->url, kConnectLimit.count()),
                   false);
}

void Upstream::on_events(std::uint32_t events) {
    const auto self = shared_from_this();  // a callback may let go of us
    switch (state_) {
        case State::connecting:
            return on_connecting();
        case State::tls_handshake:
            return on_handshaking();
        case State::closed:
            return;
        case State::idle: {
            channel_->note(events);
            if (!is_stale()) return;
            if (const auto on_idle_end = std::move(on_idle_end_)) on_idle_end(*this);
            return;
        }
        case State::exchanging:
            break;
    }
    channel_->note(events);
    const bool was_blocked = !channel_->out.empty();
    channel_->flush();
    if (was_blocked && channel_->out.empty() && user_ != nullptr) user_->on_upstream_room();
    if (state_ == State::exchanging) pump();
    if (state_ == State::exchanging && user_ != nullptr) user_->on_upstream_turn_end();
}

void Upstream::pump() {
    for (int round = 0; state_ == State::exchanging && user_ != nullptr; ++round) {
        if (round == kRoundsPerTurn) return go_on_later();
        const bool moved = channel_->fill(head_done_);
        const std::size_t before = channel_->in.size();
        const bool head_before = head_done_;
        if (!head_done_) {
            parse_head();
        } else {
            parse_body();
        }
        if (state_ != State::exchanging || user_ == nullptr) return;
        if (!moved && channel_->in.size() == before && head_done_ == head_before) return;
    }
}

void Upstream::go_on_later() {
    context_.loop.post([self = weak_from_this()] {
        const auto upstream = self.lock();
        if (upstream && upstream->state_ == State::exchanging) upstream->on_events(0);
    });
}

void Upstream::parse_head() {
    switch (parser_->parse_head(channel_->in.bytes())) {
        case HttpResponseParser::Status::malformed:
            return refuse(parser_->problem());
        case HttpResponseParser::Status::done:
            break;
        default:
            if (channel_->broken) {
                fail(channel_->stream.error());
            } else if (channel_->ended) {
                fail(channel_->in.empty() ? "it closed the connection before it answered"
                                          : "it closed the connection within the head of its answer");
            }
            return;
    }
    const HttpHead& head = parser_->head();
    if (head.status < 200) {
        if (++interim_responses_ > kMaxInterimResponses) return refuse("interim responses without end");
        user_->on_response_head(head);
        if (state_ != State::exchanging) return;
        channel_->in.consume(parser_->head_bytes());
        return restart_parser();
    }
    head_done_ = true;
    user_->on_response_head(head);
    if (state_ != State::exchanging || user_ == nullptr) return;
    channel_->in.consume(parser_->head_bytes());
    parse_body();
}

void Upstream::parse_body() {
    std::size_t used = 0;
    const auto status = parser_->parse_body(channel_->in.bytes(), *user_, used);
    channel_->in.consume(used);
    switch (status) {
        case HttpResponseParser::Status::blocked:
            return;
        case HttpResponseParser::Status::malformed:
            return refuse(parser_->problem());
        case HttpResponseParser::Status::need_more:
            if (channel_->in.room() == 0) return refuse("a chunk header without end");
            if (channel_->broken) return fail(channel_->stream.error());
            if (!channel_->ended) return;
            if (!parser_->finish_at_end()) return fail("it closed the connection within the body of its answer");
            return user_->on_response_end(false);
        case HttpResponseParser::Status::done:
            break;
    }
    const HttpHead& head = parser_->head();
    const bool reusable = head.keep_alive && head.framing != BodyFraming::until_close && channel_->in.empty() &&
                          channel_->out.empty() && !channel_->ended && !channel_->broken && !channel_->write_broken;
    user_->on_response_end(reusable);
}

}  // namespace brokerd
