#include <sys/epoll.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "common/plugin_name.h"
#include "daemon/control/error_reply.h"
#include "daemon/control/http_server.h"
#include "daemon/loop/log.h"

// The life of a request on its connection: arriving, being handled, being answered. http_server.cpp has the loop.

namespace brokerd {
namespace {

/// Whether there may be another request after the one that has just been read.
bool keeps_alive(const HttpConnection& connection) {
    const bool is_last = connection.input_ended() && connection.input.empty() && !connection.has_unread();
    return connection.parser.keep_alive() && !is_last;
}

}  // namespace

void HttpServer::on_readable(HttpConnection& connection) {
    if (connection.state == HttpConnection::State::draining) return drain(connection);
    if (connection.state == HttpConnection::State::working) return move_body(connection);
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
    const bool was_idle = connection.parser.end_of_input() == RequestParser::Progress::need_more;
    switch (connection.parser.feed(connection.input)) {
        case RequestParser::Progress::malformed:
            return refuse(connection, connection.parser.refusal());
        case RequestParser::Progress::head:
            return take_head(connection);
        case RequestParser::Progress::complete: {
            connection.keep_alive = keeps_alive(connection);
            connection.expects_continue = false;
            connection.pump.reset();
            return handle(connection, connection.parser.take());
        }
        case RequestParser::Progress::need_more:
            if (was_idle) {
                set_deadline(connection, limits_.head);
                await_client(connection);
            }
            return await_more(connection);
    }
}

/// Here it is decided who reads the body.
void HttpServer::take_head(HttpConnection& connection) {
    if (streams_body_ && streams_body_(connection.parser.head())) {
        connection.keep_alive = keeps_alive(connection);
        connection.expects_continue = connection.parser.take_expectation();
        const RequestParser::Streamed streamed = connection.parser.take_streamed();
        connection.pump.emplace(streamed.body);
        return handle(connection, streamed.request);
    }
    connection.parser.collect_body();
    set_deadline(connection, limits_.body);
    advance(connection);
}

void HttpServer::await_more(HttpConnection& connection) {
    if (!connection.parser.take_expectation()) return;
    connection.queue("HTTP/1.1 100 Continue\r\n\r\n");
    // These few bytes fit into an empty socket buffer, or the client does not read at all.
    if (connection.flush() != HttpConnection::Io::end) close(connection);
}

void HttpServer::handle(HttpConnection& connection, const ControlRequest& request) {
    waiting_.forget(connection.id());
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
    connection.client = std::make_shared<char>();
    const Exchange exchange{mailbox_, connection.id(), connection.exchange, connection.client};
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

bool HttpServer::awaits(const Exchange& exchange) {
    const HttpConnection* connection = find(exchange);
    return connection != nullptr && connection->state == HttpConnection::State::answering;
}

void HttpServer::finish(const Exchange& exchange, ControlReply reply) {
    finish(exchange, std::make_shared<const ControlReply>(std::move(reply)));
}

void HttpServer::finish(const Exchange& exchange, std::shared_ptr<const ControlReply> reply) {
    if (!awaits(exchange)) return;
    HttpConnection* connection = find(exchange);
    send_reply(*connection, std::move(reply), connection->keep_alive);
}

PeerProcess HttpServer::peer(const Exchange& exchange) {
    const HttpConnection* connection = find(exchange);
    return connection == nullptr ? PeerProcess{} : peer_process(connection->descriptor(), connection->accepted);
}

bool HttpServer::open_stream(const Exchange& exchange, const std::string& content_type, std::function<void()> closed,
                             StreamEnd end) {
    HttpConnection* connection = find(exchange);
    if (connection == nullptr || connection->state != HttpConnection::State::answering) return false;
    if (!streams_.has_room(connection->user)) {
        const ControlReply refused = streams_.is_full()
                                         ? error_reply::too_many_watchers(limits_.streams)
                                         : error_reply::too_many_watchers_of_user(
                                               connection->user, streams_.of(connection->user), limits_.streams);
        send_reply(*connection, refused, connection->keep_alive);
        return false;
    }
    streams_.take(connection->user);
    connection->client.reset();
    connection->state = HttpConnection::State::streaming;
    connection->stream_closed = std::move(closed);
    // Where we have ended the client's sending ourselves, its end tells nothing.
    connection->ends_with_input = end == StreamEnd::half_closed && !connection->input_ended();
    set_deadline(*connection, std::nullopt);
    connection->queue(stream_head(200, content_type, {}, connection->chunked, connection->keep_alive));
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

void HttpServer::end_stream_within(const Exchange& exchange, std::chrono::milliseconds time) {
    HttpConnection* connection = find(exchange);
    if (connection == nullptr || connection->state != HttpConnection::State::streaming) return;
    set_deadline(*connection, time);
}

/// What is still to be sent of it is, as of any answer.
void HttpServer::end_stream(HttpConnection& connection) {
    const std::function<void()> closed = std::exchange(connection.stream_closed, nullptr);
    streams_.give_back(connection.user);
    connection.ends_with_input = false;
    connection.state = HttpConnection::State::replying;
    connection.keep_alive = connection.keep_alive && connection.chunked;
    if (connection.chunked) connection.queue("0\r\n\r\n");
    set_deadline(connection, limits_.write_stall);
    await_client(connection);
    if (closed) closed();
    write_on(connection);
}

/// Answers and ends the connection: after this the two sides may disagree about where the next request begins.
void HttpServer::refuse(HttpConnection& connection, ControlReply reply) {
    send_reply(connection, std::move(reply), false);
}

void HttpServer::send_reply(HttpConnection& connection, ControlReply reply, bool keep_alive) {
    send_reply(connection, std::make_shared<const ControlReply>(std::move(reply)), keep_alive);
}

void HttpServer::send_reply(HttpConnection& connection, std::shared_ptr<const ControlReply> reply, bool keep_alive) {
    connection.client.reset();
    // What is left of a body that nobody has read would be taken for the next request.
    connection.keep_alive = keep_alive && (!connection.pump || connection.pump->is_done());
    if (!connection.to_head && !make_room_for({reply, &reply->body}))
        reply = std::make_shared<const ControlReply>(error_reply::too_much_unread(limits_.unread));
    connection.queue(head_bytes(*reply, connection.keep_alive));
    if (!connection.to_head && reply->has_body()) {
        const UnreadAnswers::Answer body{reply, &reply->body};
        charge_answer(connection, body);
        connection.queue_body(body);
    }
    connection.state = HttpConnection::State::replying;
    set_deadline(connection, limits_.write_stall);
    await_client(connection);
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
            if (streaming) break;
            set_deadline(connection, limits_.write_stall);
            await_client(connection);
            break;
        case HttpConnection::Io::would_block:
            break;
    }
    update_interest(connection);
}

void HttpServer::replied(HttpConnection& connection) {
    forget_answer(connection);
    connection.to_head = false;
    if (!connection.keep_alive) {
        // Closing with bytes unread would reset the connection under the answer.
        connection.end_output();
        connection.state = HttpConnection::State::draining;
        connection.drains_until = Clock::now() + limits_.body;
        set_deadline(connection, limits_.linger);
        await_client(connection);
        return update_interest(connection);
    }
    connection.state = HttpConnection::State::receiving;
    set_deadline(connection, limits_.idle);
    await_client(connection);
    update_interest(connection);
    // The next request may have come with the last one. Its answer arrives by mail, so this does not recurse for long.
    if (!connection.input.empty()) advance(connection);
}

/// Closing with bytes unread would make the client's next write fail, perhaps before it looks for the answer.
void HttpServer::drain(HttpConnection& connection) {
    const auto outcome = connection.discard();
    if (outcome == HttpConnection::Io::end || outcome == HttpConnection::Io::failed) return close(connection);
    if (outcome != HttpConnection::Io::progress) return;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(connection.drains_until - Clock::now());
    set_deadline(connection, std::min(limits_.linger, left));
}

void HttpServer::close(HttpConnection& connection) {
    const std::function<void()> closed = std::move(connection.stream_closed);
    if (connection.state == HttpConnection::State::streaming) streams_.give_back(connection.user);
    if (connection.state == HttpConnection::State::working) end_body(connection, BodyState::cut_off);
    set_deadline(connection, std::nullopt);
    forget_answer(connection);
    waiting_.forget(connection.id());
    waiting_jobs_.erase(connection.exchange);
    // A job has a descriptor of its own for this connection, which would go on to wake us up.
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, connection.descriptor(), nullptr);
    if (connection.job) connection.job->cancel();
    connections_.erase(connection.id());
    out_of_descriptors_until_.reset();
    if (closed) closed();
}

}  // namespace brokerd
