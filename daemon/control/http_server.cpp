#include "daemon/control/http_server.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>

#include "common/os/system_error.h"
#include "common/plugin_name.h"
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
/// How long accepting rests when there are no descriptors left, unless a connection ends before.
constexpr std::chrono::milliseconds kOutOfDescriptorsPause{500};
constexpr int kAcceptsAtOnce = 64;

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

void Exchange::reply(ControlReply reply) const {
    server_->post([self = *this, reply = std::move(reply)](HttpServer& server) { server.finish(self, reply); });
}

void Exchange::reply_with(std::function<ControlReply()> format) const {
    server_->post([self = *this, format = std::move(format)](HttpServer& server) {
        try {
            server.finish(self, format());
        } catch (const std::exception& error) {
            log_error("control socket: formatting an answer failed: {}", error.what());
            server.finish(self, error_reply::internal_error(error.what()));
        }
    });
}

HttpServer::HttpServer(UniqueFd listening_socket, PeerPolicy policy, Limits limits)
    : listener_{std::move(listening_socket)},
      policy_{policy},
      limits_{limits},
      mailbox_{std::make_shared<Mailbox<HttpServer&>>()},
      epoll_{epoll_create1(EPOLL_CLOEXEC)},
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
}

void HttpServer::start(Handler handler) {
    handler_ = std::move(handler);
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
            if (const auto failed = connections_.find(event.data.u64); !done && failed != connections_.end())
                close(*failed->second);
        }
        attempt([&] { expire(); });
        attempt([&] { admit(); });
    }
    connections_.clear();
}

void HttpServer::dispatch(Exchange::Id id, std::uint32_t events) {
    if (id == kListener) return accept_some();
    if (id == kMailbox) return run_mail();
    const auto connection = [&]() -> HttpConnection* {
        const auto found = connections_.find(id);
        return found == connections_.end() ? nullptr : found->second.get();
    };
    if (HttpConnection* readable = connection(); readable != nullptr && (events & EPOLLIN) != 0) on_readable(*readable);
    if (HttpConnection* writable = connection(); writable != nullptr && (events & EPOLLOUT) != 0)
        on_writable(*writable);
    // A hang-up means that nobody is there to read an answer; a client that only stops sending causes none.
    if ((events & (EPOLLHUP | EPOLLERR)) == 0) return;
    HttpConnection* gone = connection();
    if (gone == nullptr) return;
    // Bytes that are still to be read keep EPOLLIN raised: read them first, a request may be among them.
    if (gone->state == HttpConnection::State::receiving && (events & EPOLLIN) != 0) return;
    close(*gone);
}

void HttpServer::run_mail() {
    for (auto& work : mailbox_->take()) attempt([&] { work(*this); });
}

void HttpServer::accept_some() {
    for (int i = 0; i < kAcceptsAtOnce && connections_.size() - streams_ < limits_.connections; ++i) {
        UniqueFd socket{accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
        if (socket) {
            add(std::move(socket));
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED) continue;
        if (errno == EAGAIN) return;
        // EMFILE, ENFILE, ENOBUFS, ENOMEM: the client stays in the backlog, and trying again at once would spin.
        if (!out_of_descriptors_until_) log_warning("control socket: cannot accept connections: {}", errno_text(errno));
        out_of_descriptors_until_ = Clock::now() + kOutOfDescriptorsPause;
        return;
    }
}

void HttpServer::add(UniqueFd socket) {
    auto connection = std::make_unique<HttpConnection>(++last_id_, std::move(socket));
    try {
        const PeerCredentials peer = peer_credentials(connection->descriptor());
        if (!policy_.allows(peer)) connection->refused = peer.describe();
    } catch (const std::exception& error) {
        log_warning("control socket: who is connecting? {}", error.what());
        return;
    }
    HttpConnection& added = *connection;
    control(epoll_.get(), EPOLL_CTL_ADD, added.descriptor(), added.interest(), added.id());
    added.registered = added.interest();
    connections_.emplace(added.id(), std::move(connection));
    set_deadline(added, added.refused.empty() ? limits_.idle : limits_.head);
}

/// Opens or shuts the door, after each round of the loop.
void HttpServer::admit() {
    if (out_of_descriptors_until_ && Clock::now() >= *out_of_descriptors_until_) out_of_descriptors_until_.reset();
    watch_listener(!out_of_descriptors_until_ && connections_.size() - streams_ < limits_.connections);
}

void HttpServer::watch_listener(bool on) {
    if (on == listening_) return;
    control(epoll_.get(), EPOLL_CTL_MOD, listener_.get(), on ? static_cast<std::uint32_t>(EPOLLIN) : 0, kListener);
    listening_ = on;
}

int HttpServer::time_to_first_deadline() const {
    std::optional<Clock::time_point> first = out_of_descriptors_until_;
    if (!deadlines_.empty()) first = first ? std::min(*first, deadlines_.begin()->first) : deadlines_.begin()->first;
    if (!first) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*first - Clock::now()).count();
    return static_cast<int>(std::clamp<decltype(left)>(left, 0, 60'000));
}

void HttpServer::expire() {
    while (!deadlines_.empty() && deadlines_.begin()->first <= Clock::now()) {
        const Exchange::Id id = deadlines_.begin()->second;
        HttpConnection& connection = *connections_.at(id);
        set_deadline(connection, std::nullopt);
        if (connection.state == HttpConnection::State::answering) {
            refuse(connection, error_reply::no_answer_in_time(connection.reply_within));
        } else if (connection.state == HttpConnection::State::receiving &&
                   connection.parser.end_of_input() == RequestParser::Progress::malformed) {
            refuse(connection, error_reply::request_too_slow());
        } else {
            close(connection);
        }
    }
}

void HttpServer::on_readable(HttpConnection& connection) {
    if (connection.state == HttpConnection::State::draining) {
        const auto outcome = connection.discard();
        if (outcome == HttpConnection::Io::end || outcome == HttpConnection::Io::failed) close(connection);
        return;
    }
    if (connection.state != HttpConnection::State::receiving) return;
    switch (connection.read()) {
        case HttpConnection::Io::progress:
            return advance(connection);
        case HttpConnection::Io::would_block:
            return;
        case HttpConnection::Io::failed:
            return close(connection);
        case HttpConnection::Io::end:
            if (connection.parser.end_of_input() == RequestParser::Progress::need_more) return close(connection);
            return refuse(connection, error_reply::incomplete_request());
    }
}

/// Makes a request of what has arrived, if there is a whole one.
void HttpServer::advance(HttpConnection& connection) {
    const bool had_head = connection.parser.has_head();
    const bool was_idle = connection.parser.end_of_input() == RequestParser::Progress::need_more;
    switch (connection.parser.feed(connection.input)) {
        case RequestParser::Progress::malformed:
            return refuse(connection, connection.parser.refusal());
        case RequestParser::Progress::complete:
            return handle(connection);
        case RequestParser::Progress::need_more:
            if (was_idle) set_deadline(connection, limits_.head);
            if (!had_head && connection.parser.has_head()) set_deadline(connection, limits_.body);
            return await_more(connection);
    }
}

void HttpServer::await_more(HttpConnection& connection) {
    if (!connection.parser.take_expectation()) return;
    connection.queue("HTTP/1.1 100 Continue\r\n\r\n");
    // These few bytes fit into an empty socket buffer, or the client does not read at all.
    if (connection.flush() != HttpConnection::Io::end) close(connection);
}

void HttpServer::handle(HttpConnection& connection) {
    connection.keep_alive = connection.parser.keep_alive();
    const ControlRequest request = connection.parser.take();
    connection.to_head = request.method == "HEAD";
    connection.chunked = request.streams_chunked;
    if (!connection.refused.empty()) {
        const std::string group = policy_.allowed_group ? group_name(*policy_.allowed_group) : std::string{};
        return refuse(connection, error_reply::peer_not_allowed(connection.refused, group));
    }
    connection.state = HttpConnection::State::answering;
    connection.exchange = ++last_exchange_;
    connection.reply_within = limits_.reply;
    set_deadline(connection, limits_.reply);
    update_interest(connection);
    const Exchange exchange{mailbox_, connection.id(), connection.exchange};
    try {
        handler_(request, exchange);
    } catch (const std::exception& error) {
        log_error("control socket: {} {} failed: {}", request.method, escaped(request.path), error.what());
        exchange.reply(error_reply::internal_error(error.what()));
    }
}

HttpConnection* HttpServer::find(const Exchange& exchange) {
    const auto found = connections_.find(exchange.connection());
    if (found == connections_.end() || found->second->exchange != exchange.number()) return nullptr;
    return found->second.get();
}

void HttpServer::expect_reply_within(const Exchange& exchange, std::chrono::milliseconds time) {
    HttpConnection* connection = find(exchange);
    if (connection == nullptr || connection->state != HttpConnection::State::answering) return;
    connection->reply_within = time;
    set_deadline(*connection, time);
}

void HttpServer::finish(const Exchange& exchange, const ControlReply& reply) {
    HttpConnection* connection = find(exchange);
    if (connection == nullptr || connection->state != HttpConnection::State::answering) return;
    send_reply(*connection, reply, connection->keep_alive);
}

bool HttpServer::open_stream(const Exchange& exchange, const std::string& content_type, std::function<void()> closed) {
    HttpConnection* connection = find(exchange);
    if (connection == nullptr || connection->state != HttpConnection::State::answering) return false;
    if (streams_ >= limits_.streams) {
        send_reply(*connection, error_reply::too_many_watchers(limits_.streams), connection->keep_alive);
        return false;
    }
    ++streams_;
    connection->state = HttpConnection::State::streaming;
    connection->stream_closed = std::move(closed);
    set_deadline(*connection, std::nullopt);
    connection->queue(stream_head(content_type, connection->chunked));
    write_on(*connection);
    return find(exchange) != nullptr;
}

bool HttpServer::send(const Exchange& exchange, std::string_view bytes) {
    HttpConnection* connection = find(exchange);
    if (connection == nullptr || connection->state != HttpConnection::State::streaming) return false;
    if (bytes.empty()) return true;  // an empty chunk would end the body
    if (connection->queued() + bytes.size() > limits_.stream_backlog) {
        log_warning("control socket: dropped a watcher that left {} bytes unread", connection->queued());
        close(*connection);
        return false;
    }
    if (connection->chunked) {
        connection->queue(fmt::format("{:x}\r\n", bytes.size()));
        connection->queue(bytes);
        connection->queue("\r\n");
    } else {
        connection->queue(bytes);
    }
    write_on(*connection);
    return find(exchange) != nullptr;
}

/// Answers and ends the connection: after this the two sides may disagree about where the next request begins.
void HttpServer::refuse(HttpConnection& connection, const ControlReply& reply) {
    send_reply(connection, reply, false);
}

void HttpServer::send_reply(HttpConnection& connection, const ControlReply& reply, bool keep_alive) {
    connection.keep_alive = keep_alive;
    connection.queue(to_bytes(reply, connection.to_head, keep_alive));
    connection.state = HttpConnection::State::replying;
    set_deadline(connection, limits_.write_stall);
    write_on(connection);
}

void HttpServer::on_writable(HttpConnection& connection) {
    write_on(connection);
}

void HttpServer::write_on(HttpConnection& connection) {
    const bool streaming = connection.state == HttpConnection::State::streaming;
    switch (connection.flush()) {
        case HttpConnection::Io::failed:
            return close(connection);
        case HttpConnection::Io::end:
            if (streaming) break;
            return replied(connection);
        case HttpConnection::Io::progress:
            if (!streaming) set_deadline(connection, limits_.write_stall);
            break;
        case HttpConnection::Io::would_block:
            break;
    }
    update_interest(connection);
}

void HttpServer::replied(HttpConnection& connection) {
    connection.to_head = false;
    if (!connection.keep_alive) {
        // Closing with bytes unread would reset the connection under the answer.
        connection.end_output();
        connection.state = HttpConnection::State::draining;
        set_deadline(connection, limits_.linger);
        return update_interest(connection);
    }
    connection.state = HttpConnection::State::receiving;
    set_deadline(connection, limits_.idle);
    update_interest(connection);
    // The next request may have come with the last one. Its answer arrives by mail, so this does not recurse for long.
    if (!connection.input.empty()) advance(connection);
}

void HttpServer::close(HttpConnection& connection) {
    const std::function<void()> closed = std::move(connection.stream_closed);
    if (connection.state == HttpConnection::State::streaming) --streams_;
    set_deadline(connection, std::nullopt);
    connections_.erase(connection.id());
    out_of_descriptors_until_.reset();
    if (closed) closed();
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
