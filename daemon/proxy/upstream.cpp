#include "daemon/proxy/upstream.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <utility>

#include "common/os/shortage.h"
#include "common/os/system_error.h"

namespace brokerd {
namespace {

/// Ours: 1xx heads before the final one; more is a plugin gone mad.
constexpr unsigned kMaxInterimResponses = 16;

/// The plugin or the host is busy, not down.
bool is_passing(int code) {
    return code == EAGAIN || is_shortage(code);
}

std::string connect_problem(int code, const Target& target) {
    switch (code) {
        case ENOENT:
            return fmt::format("nothing listens on {} (no such socket)", target.url);
        case ECONNREFUSED:
            return fmt::format("nothing listens on {} (connection refused)", target.url);
        case ENOTSOCK:
            return fmt::format("nothing listens on {} (it is no socket)", target.url);
        default:
            return fmt::format("connecting to {} failed: {}", target.url, errno_text(code));
    }
}

/// As connect(2), to what lies at `path` itself: the path is walked by us and may not end in a link, and the kernel is
/// given the socket that was found there (proc(5), /proc/PID/fd).
int connect_without_links(int socket, const std::string& path) {
    const UniqueFd found{::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC)};
    struct stat status {};
    if (!found || ::fstat(found.get(), &status) != 0) return -1;
    if (!S_ISSOCK(status.st_mode)) {
        errno = ENOTSOCK;
        return -1;
    }
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    fmt::format_to_n(address.sun_path, sizeof address.sun_path - 1, "/proc/self/fd/{}", found.get());
    return ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

int connect_to(int socket, const SocketAddress& address, const Target& target) {
    if (!target.own_socket.empty()) return connect_without_links(socket, target.own_socket);
    return ::connect(socket, reinterpret_cast<const sockaddr*>(&address.storage), address.length);
}

}  // namespace

Upstream::Upstream(ThreadContext& context, std::shared_ptr<const Target> target)
    : context_{context}, target_{std::move(target)}, channel_{context.loop, context.blocks} {}

Upstream::~Upstream() {
    close();
}

void Upstream::connect(UpstreamUser& user) {
    user_ = &user;
    began_ = context_.loop.now();
    try_next_address();
}

void Upstream::try_next_address() {
    if (state_ == State::closed) return;
    const bool is_late = next_address_ > 0 && context_.loop.now() - began_ > kAllAddressesLimit;
    if (next_address_ == target_->addresses.size() || is_late) {
        UpstreamUser* const user = user_;
        close();
        if (user != nullptr) user->on_connect_failed(last_reason_, last_cause_);
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
    if (!socket || connect_to(socket.get(), address, *target_) != 0) code = errno;
    if (is_passing(code) && context_.loop.now() - began_ < kBusyLimit) return try_again_later();
    if (code != 0 && code != EINPROGRESS) {
        return address_failed(connect_problem(code, *target_),
                              is_shortage(code) ? ConnectFailure::shortage : ConnectFailure::unreachable);
    }
    is_unix_ = address.storage.ss_family == AF_UNIX;
    channel_.open(std::move(socket), *this, !is_unix_);
    state_ = State::connecting;
    if (code == 0) return on_connected();
    context_.deadlines.set(*this, kConnectLimit);
}

void Upstream::try_again_later() {
    --next_address_;
    waits_to_retry_ = true;
    context_.deadlines.set(*this, EventLoop::kTick);
}

void Upstream::address_failed(const std::string& reason, ConnectFailure cause) {
    last_reason_ = reason;
    last_cause_ = cause;
    DeadlineList::clear(*this);
    if (TlsConnection* const tls = channel_.stream.tls(); tls != nullptr && tls->offered_session()) {
        // Some servers end the handshake over a session that they do not like, where they should go on without it.
        tls->give_up_sessions(cause == ConnectFailure::refused);
        may_resume_ = false;
        --next_address_;
    }
    channel_.close();
    // Failing within connect() would call the user back while it is still setting up.
    context_.loop.post([self = weak_from_this()] {
        if (const auto upstream = self.lock()) upstream->try_next_address();
    });
}

void Upstream::on_connecting() {
    int code = 0;
    socklen_t size = sizeof code;
    ::getsockopt(channel_.stream.fd(), SOL_SOCKET, SO_ERROR, &code, &size);
    if (code != 0) return address_failed(connect_problem(code, *target_), ConnectFailure::unreachable);
    on_connected();
}

void Upstream::on_connected() {
    if (!target_->tls) return ready();
    context_.deadlines.set(*this, kConnectLimit);
    channel_.stream.start_tls(target_->tls->connect(channel_.stream.fd(), context_.tls_sessions, may_resume_));
    state_ = State::tls_handshake;
    on_handshaking();
}

void Upstream::on_handshaking() {
    const Stream::Moved result = channel_.stream.handshake();
    if (result.status == Stream::Status::again) return;
    if (result.status == Stream::Status::ok) return ready();
    const std::string& error = channel_.stream.error();
    address_failed(error.empty() ? "TLS: the plugin closed the connection during the handshake" : error,
                   channel_.stream.tls_refused() ? ConnectFailure::refused : ConnectFailure::unreachable);
}

void Upstream::ready() {
    DeadlineList::clear(*this);
    channel_.assume_ready();
    begin(*user_);
    user_->on_upstream_ready();
}

void Upstream::begin(UpstreamUser& user) {
    user_ = &user;
    keeper_ = nullptr;
    body_expected_ = true;
    head_done_ = piping_ = false;
    head_parser_.reset();
    interim_responses_ = 0;
    written_before_ = channel_.written;
    state_ = State::exchanging;
}

void Upstream::park(IdleKeeper& keeper) noexcept {
    user_ = nullptr;
    keeper_ = &keeper;
    state_ = State::idle;
}

void Upstream::close() {
    if (state_ == State::closed) return;
    state_ = State::closed;
    user_ = nullptr;
    DeadlineList::clear(*this);
    channel_.close();
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
    if (std::exchange(waits_to_retry_, false)) return try_next_address();
    address_failed(fmt::format("{} did not complete the connection within {} s", target_->url, kConnectLimit.count()),
                   ConnectFailure::unreachable);
}

void Upstream::on_events(std::uint32_t events) {
    switch (state_) {
        case State::connecting:
            return on_connecting();
        case State::tls_handshake:
            return on_handshaking();
        case State::closed:
            return;
        case State::idle:
            channel_.note(events);
            if (channel_.stream.is_stale()) std::exchange(keeper_, nullptr)->on_idle_end(*this);
            return;
        case State::exchanging:
            break;
    }
    // Whoever lets go of us meanwhile retires us: this object outlives the present batch of events.
    channel_.note(events);
    // A reused connection tells something before anything of this call has left: it is the answer to no call.
    if (written_before_ > 0 && !has_sent() && (events & EPOLLIN) != 0 && channel_.stream.is_stale())
        return fail("it has sent something that nobody asked for");
    const bool was_blocked = !channel_.out.empty();
    channel_.flush();
    if ((was_blocked || (events & EPOLLOUT) != 0) && channel_.out.empty() && user_ != nullptr)
        user_->on_upstream_room();
    if (state_ == State::exchanging) pump();
    if (state_ == State::exchanging && user_ != nullptr) user_->on_upstream_turn_end();
}

void Upstream::pump() {
    for (int round = 0; state_ == State::exchanging && user_ != nullptr; ++round) {
        if (round == kRoundsPerTurn) return go_on_later();
        if (may_pipe_body()) {
            if (const auto goes_on = pipe_body()) {
                if (!*goes_on) return;
                continue;
            }
        }
        const bool moved = channel_.fill(head_done_ || !channel_.in.empty());
        const std::size_t before = channel_.in.size();
        const bool head_before = head_done_;
        if (!head_done_) {
            parse_head();
        } else {
            parse_body();
        }
        if (state_ != State::exchanging || user_ == nullptr) return;
        if (!moved && channel_.in.size() == before && head_done_ == head_before) return;
    }
}

void Upstream::go_on_later() {
    context_.loop.post([self = weak_from_this()] {
        const auto upstream = self.lock();
        if (upstream && upstream->state_ == State::exchanging) upstream->on_events(0);
    });
}

void Upstream::parse_head() {
    const HttpHead& head = context_.parsed;
    switch (channel_.in.empty() ? ParseStatus::need_more
                                : head_parser_.parse_response(channel_.in.bytes(), context_.parsed, body_expected_)) {
        case ParseStatus::malformed:
            return refuse(head_parser_.problem().text);
        case ParseStatus::done:
            break;
        default:
            if (channel_.broken) {
                fail(channel_.stream.error());
            } else if (channel_.ended) {
                fail(channel_.in.empty() ? "it closed the connection before it answered"
                                         : "it closed the connection within the head of its answer");
            }
            return;
    }
    head_parser_.reset();
    const std::size_t head_bytes = head.bytes;
    if (head.status < 200) {
        if (++interim_responses_ > kMaxInterimResponses) return refuse("interim responses without end");
        user_->on_response_head(head);
        if (state_ == State::exchanging) channel_.in.consume(head_bytes);
        return;
    }
    head_done_ = true;
    answer_keeps_alive_ = head.keep_alive && head.framing != BodyFraming::until_close;
    body_.start(head);
    user_->on_response_head(head);
    if (state_ != State::exchanging || user_ == nullptr) return;
    channel_.in.consume(head_bytes);
    parse_body();
}

bool Upstream::may_pipe_body() const noexcept {
    return head_done_ && channel_.in.empty() && !channel_.stream.is_tls() &&
           (piping_ || body_.plain_bytes() >= kPipedFrom);
}

/// Whether there is more to do now; nothing where the body has to take another way.
std::optional<bool> Upstream::pipe_body() {
    const UpstreamUser::Piped piped = user_->pipe_body(channel_, body_.plain_bytes());
    if (piped.refused) return std::nullopt;
    piping_ = piped.holds;
    if (piped.came > 0) body_.skip(piped.came);
    if (!piping_ && (body_.is_done() || channel_.ended || channel_.broken)) {
        parse_body();
        return false;
    }
    return piped.progress;
}

/// Hands on what has come of the body: a large piece with the block that it lies in, if the user can use that.
ParseStatus Upstream::move_body() {
    ByteQueue& in = channel_.in;
    if (const std::size_t size = in.size(); size >= kLargePiece && body_.plain_bytes() >= size) {
        switch (user_->take_block(in)) {
            case UpstreamUser::Taken::all:
                body_.skip(size);
                return body_.is_done() ? ParseStatus::done : ParseStatus::need_more;
            case UpstreamUser::Taken::nothing:
                return ParseStatus::blocked;
            case UpstreamUser::Taken::refused:
                break;
        }
    }
    std::size_t used = 0;
    const ParseStatus status = body_.parse(in.bytes(), *user_, used);
    in.consume(used);
    return status;
}

void Upstream::parse_body() {
    switch (move_body()) {
        case ParseStatus::blocked:
            return;
        case ParseStatus::malformed:
            return refuse(body_.problem().text);
        case ParseStatus::need_more:
            if (channel_.broken) return fail(channel_.stream.error());
            if (!channel_.ended) return;
            if (!body_.may_end_here()) return fail("it closed the connection within the body of its answer");
            return user_->on_response_end(false);
        case ParseStatus::done:
            break;
    }
    user_->on_response_end(answer_keeps_alive_ && channel_.in.empty() && channel_.out.empty() && !channel_.ended &&
                           !channel_.broken && !channel_.write_broken);
}

void drop(ThreadContext& context, std::shared_ptr<Upstream>& upstream) {
    if (!upstream) return;
    upstream->close();
    context.loop.retire(std::exchange(upstream, nullptr));
}

}  // namespace brokerd
