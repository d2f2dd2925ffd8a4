#include "daemon/control/http_server.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>

#include "common/os/system_error.h"
#include "daemon/control/error_reply.h"
#include "daemon/loop/log.h"

// Why not cpp-httplib's Server: it holds a thread for each connection, idle or slow, so that either 200 watchers or 64
// slow clients keep everybody else out; it cannot take over a descriptor, nor give one back to a stream; its stop()
// shuts the listening socket down, which systemd keeps. And see request_parser.cpp. Here one thread does all I/O
// without waiting, and answers come back to it through the mailbox, from the core loop or from worker threads.

namespace brokerd {
namespace {

constexpr Exchange::Id kListener = 0;
constexpr Exchange::Id kMailbox = 1;
/// With the number of a connection: the event is of its job's pipe.
constexpr Exchange::Id kPipe = Exchange::Id{1} << 63U;
constexpr std::chrono::milliseconds kJobThreadIdle{10'000};
/// Ours: a socket holds 208 KiB.
constexpr std::size_t kBufferBytes = std::size_t{128} * 1024;

void control(int epoll, int operation, int fd, std::uint32_t events, Exchange::Id id) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = id;
    if (epoll_ctl(epoll, operation, fd, &event) != 0) throw_errno("epoll_ctl");
}

/// The boundary for what nobody planned for: one connection may suffer, the server goes on.
template <class Step>
bool attempt(Step step) noexcept {
    try {
        step();
        return true;
    } catch (const std::exception& error) {
        log_error("control socket: unexpected failure: {}", error.what());
        return false;
    }
}

}  // namespace

HttpServer::HttpServer(UniqueFd listening_socket, PeerPolicy policy, Limits limits)
    : listener_{std::move(listening_socket)},
      policy_{policy},
      limits_{limits},
      mailbox_{std::make_shared<Mailbox<HttpServer&>>()},
      epoll_{epoll_create1(EPOLL_CLOEXEC)},
      streams_{limits.streams, policy.own_uid},
      job_shares_{limits.jobs, policy.own_uid},
      waiting_{limits.owing, limits.resting},
      starved_jobs_{limits.owing, limits.resting},
      last_id_{kMailbox} {
    if (!epoll_) throw_errno("epoll_create1");
    const int flags = fcntl(listener_.get(), F_GETFL);
    if (flags < 0 || fcntl(listener_.get(), F_SETFL, flags | O_NONBLOCK) < 0)
        throw_errno("fcntl on the control socket");
    control(epoll_.get(), EPOLL_CTL_ADD, listener_.get(), 0, kListener);
    control(epoll_.get(), EPOLL_CTL_ADD, mailbox_->descriptor(), EPOLLIN, kMailbox);
}

HttpServer::~HttpServer() {
    stop();
}

void HttpServer::stop() noexcept {
    mailbox_->close();
    if (thread_.joinable()) thread_.join();
    job_threads_.reset();
    // What came too late to be read keeps exchanges, and these the mailbox that they lie in.
    [[maybe_unused]] const auto unread = mailbox_->take();
}

void HttpServer::start(Handler handler, BodyRule streams_body) {
    handler_ = std::move(handler);
    streams_body_ = std::move(streams_body);
    buffer_.resize(kBufferBytes);
    job_threads_ = std::make_unique<WorkerPool>(limits_.jobs, kJobThreadIdle);
    watch_listener(true);
    thread_ = std::thread{[this] { run(); }};
}

void HttpServer::post(std::function<void()> work) {
    mailbox_->post([work = std::move(work)](HttpServer&) { work(); });
}

void HttpServer::run() {
    std::array<epoll_event, 256> events;
    while (!mailbox_->closed()) {
        const int count = epoll_wait(epoll_.get(), events.data(), events.size(), time_to_first_deadline());
        for (int i = 0; i < count; ++i) {
            const epoll_event& event = events[static_cast<std::size_t>(i)];
            const bool done = attempt([&] { dispatch(event.data.u64, event.events); });
            if (const auto failed = connections_.find(event.data.u64 & ~kPipe); !done && failed != connections_.end())
                close(*failed->second);
        }
        attempt([&] { expire(); });
        attempt([&] { admit(); });
    }
    for (const auto& [number, job] : jobs_) job.link->cancel();
    waiting_jobs_.clear();
    connections_.clear();
}

void HttpServer::dispatch(Exchange::Id id, std::uint32_t events) {
    if (id == kListener) return accept_some();
    if (id == kMailbox) return run_mail();
    if ((id & kPipe) != 0) return on_pipe(id & ~kPipe, events);
    const auto connection = [&]() -> HttpConnection* {
        const auto found = connections_.find(id);
        return found == connections_.end() ? nullptr : found->second.get();
    };
    if (HttpConnection* readable = connection(); readable != nullptr && (events & EPOLLIN) != 0) on_readable(*readable);
    if (HttpConnection* writable = connection(); writable != nullptr && (events & EPOLLOUT) != 0)
        on_writable(*writable);
    // A hang-up means that nobody is there to read an answer; a client that only stops sending causes none.
    // EPOLLRDHUP, which tells of that, is asked for only where it ends a stream.
    if ((events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) == 0) return;
    HttpConnection* gone = connection();
    if (gone == nullptr) return;
    // Bytes that are still to be read keep EPOLLIN raised: read them first, a request may be among them.
    if (gone->state == HttpConnection::State::receiving && (events & EPOLLIN) != 0) return;
    close(*gone);
}

void HttpServer::run_mail() {
    for (auto& work : mailbox_->take()) {
        if (mailbox_->closed()) return;  // there may be a thousand answers, which nobody will get
        attempt([&] { work(*this); });
    }
}

void HttpServer::watch(HttpConnection& connection) {
    connection.registered = connection.interest();
    control(epoll_.get(), EPOLL_CTL_ADD, connection.descriptor(), connection.registered, connection.id());
}

void HttpServer::watch_listener(bool on) {
    if (on == listening_) return;
    control(epoll_.get(), EPOLL_CTL_MOD, listener_.get(), on ? static_cast<std::uint32_t>(EPOLLIN) : 0, kListener);
    listening_ = on;
}

int HttpServer::time_to_first_deadline() const {
    constexpr Clock::time_point kNever = Clock::time_point::max();
    const Clock::time_point first =
        std::min({out_of_descriptors_until_.value_or(kNever), next_admission_.value_or(kNever),
                  deadlines_.empty() ? kNever : deadlines_.begin()->first});
    if (first == kNever) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(first - Clock::now()).count();
    return static_cast<int>(std::clamp<decltype(left)>(left, 0, 60'000));
}

void HttpServer::expire() {
    while (!deadlines_.empty() && deadlines_.begin()->first <= Clock::now()) {
        const Exchange::Id id = deadlines_.begin()->second;
        HttpConnection& connection = *connections_.at(id);
        set_deadline(connection, std::nullopt);
        if (connection.state == HttpConnection::State::answering) {
            refuse(connection, error_reply::no_answer_in_time(connection.reply_within));
        } else if (connection.state == HttpConnection::State::working) {
            end_body(connection, BodyState::too_slow);
        } else if (connection.state == HttpConnection::State::streaming) {
            end_stream(connection);
        } else if (connection.state == HttpConnection::State::receiving && connection.has_begun()) {
            refuse(connection, error_reply::request_too_slow());
        } else {
            [[maybe_unused]] const bool gone = give_up(connection);
        }
    }
}

void HttpServer::watch_pipe(HttpConnection& connection, bool on) {
    if (on == connection.pipe_watched) return;
    control(epoll_.get(), on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, connection.pump->descriptor(), EPOLLOUT,
            connection.id() | kPipe);
    connection.pipe_watched = on;
}

void HttpServer::set_deadline(HttpConnection& connection, std::optional<std::chrono::milliseconds> from_now) {
    if (connection.deadline) deadlines_.erase({*connection.deadline, connection.id()});
    connection.deadline.reset();
    if (!from_now) return;
    connection.deadline = Clock::now() + *from_now;
    deadlines_.emplace(*connection.deadline, connection.id());
}

void HttpServer::update_interest(HttpConnection& connection) {
    const std::uint32_t wanted = connection.interest();
    if (wanted == connection.registered) return;
    control(epoll_.get(), EPOLL_CTL_MOD, connection.descriptor(), wanted, connection.id());
    connection.registered = wanted;
}

}  // namespace brokerd
