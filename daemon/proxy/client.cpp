#include "daemon/proxy/client.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/capability.h"
#include "common/plugin_name.h"
#include "common/protocol/docker_plugin_api.h"
#include "daemon/proxy/route_slot.h"

// One request at a time: the next one is read when the answer to the present one has been written. Bytes stay where
// they were read until they have been forwarded, so a request that waits for its plugin costs nothing but its buffer.
//
// What has left is never sent again. A request moves to another connection only while not one byte of it has been taken
// by the first: a reused connection that the plugin had closed meanwhile refuses the first byte on a Unix socket, and
// is looked at before use on TCP (Upstream::is_stale).

namespace brokerd {
namespace {

/// Rounds of work for one connection before others get their turn.
constexpr int kRoundsPerTurn = 16;

/// What is still to come of a body for a pipe to pay.
constexpr std::uint64_t kPipedFrom = std::uint64_t{128} << 10;
/// A piece of a body of which copying would be felt.
constexpr std::size_t kLargePiece = std::size_t{16} << 10;
/// So much of a path is kept: methods are shorter, and messages need no more.
constexpr std::size_t kKeptPathBytes = 256;

struct DiscardSink final : BodySink {
    std::size_t take_body(std::string_view piece) override { return piece.size(); }
};

}  // namespace

Client::Client(ThreadContext& context, RouteSlot& slot, UniqueFd connected)
    : context_{context}, slot_{slot}, channel_{context.loop, context.blocks} {
    channel_.open(std::move(connected), *this, false);
}

Client::~Client() {
    drop_upstream();
}

void Client::start() {
    channel_.assume_ready();
    progress();
}

void Client::on_events(std::uint32_t events) {
    if (state_ == State::closed) return;
    channel_.note(events);
    // The peer is gone for good (a peer that has only finished sending shows as EPOLLRDHUP): nobody reads an answer.
    if ((events & (EPOLLHUP | EPOLLERR)) != 0) return close();
    progress();
}

void Client::progress() {
    if (in_progress_ || state_ == State::closed) return;
    in_progress_ = true;
    int rounds = 0;
    try {
        while (rounds < kRoundsPerTurn && step()) ++rounds;
    } catch (...) {
        close();
        throw;
    }
    in_progress_ = false;
    if (rounds == kRoundsPerTurn) go_on_later();
}

void Client::go_on_later() {
    context_.loop.post([self = weak_from_this()] {
        if (const auto client = self.lock()) client->progress();
    });
}

/// One round of work; false where nothing more can be done now.
bool Client::step() {
    if (!channel_.flush()) {
        close();
        return false;
    }
    switch (state_) {
        case State::reading:
            return channel_.out.empty() && read_request();
        case State::exchanging:
            if (awaited_room_ > 0 && channel_.out.room() >= awaited_room_) {
                awaited_room_ = 0;
                upstream_->pump();
                return true;
            }
            if (answer_pipe_ && answer_pipe_->size() > 0 && channel_.can_write()) {
                upstream_->pump();
                return true;
            }
            pump_request();
            return state_ == State::reading || state_ == State::closing;
        case State::closing:
            return finish_closing();
        case State::waiting:
        case State::connecting:
        case State::closed:
            return false;
    }
    return false;
}

bool Client::read_request() {
    const ParseStatus status =
        channel_.in.empty() ? ParseStatus::need_more : head_parser_.parse_request(channel_.in.bytes(), context_.parsed);
    if (status == ParseStatus::malformed) {
        close_after_ = true;
        head_consumed_ = true;
        path_.clear();
        const HttpProblem problem = head_parser_.problem();
        answer_error(problem.status, fmt::format("not a valid HTTP/1.1 request: {}", problem.text));
        return true;
    }
    if (status == ParseStatus::done) {
        DeadlineList::clear(*this);
        note_request();
        head_is_fresh_ = true;
        dispatch();
        head_is_fresh_ = false;
        return true;
    }
    if (channel_.ended || channel_.broken) {
        close();
        return false;
    }
    if (channel_.fill()) return true;
    if (!channel_.in.empty() && !is_linked()) context_.deadlines.set(*this, context_.head_limit);
    return false;
}

/// Keeps what is needed of the head after its bytes have gone.
void Client::note_request() {
    const HttpHead& head = context_.parsed;
    path_ = head.target.substr(0, std::min(head.target.find('?'), kKeptPathBytes));
    head_bytes_ = head.bytes;
    body_parser_.start(head);
    head_only_ = head.method == "HEAD";
    client_http11_ = head.http11;
    chunked_ = head.framing == BodyFraming::chunked;
    close_after_ = !head.keep_alive;
    awaits_continue_ = head.expects_continue;
    head_consumed_ = done_ = answer_started_ = false;
    awaited_room_ = 0;
    carried_.clear();
    waiting_since_ = {};
}

void Client::dispatch() {
    const Route& route = slot_.route();
    const bool handshake = path_ == docker_plugin_api::kActivatePath;
    const std::string_view capability =
        handshake ? std::string_view{} : capability_of_method(std::string_view{path_}.substr(1));
    if (!handshake && capability.empty()) {
        return answer_error(404, fmt::format("plugin {} has no method \"{}\"; methods are called as /Capability.Method",
                                             route.plugin, escaped(path_, 100)));
    }
    switch (route.state) {
        case Route::State::waiting:
            return wait_for_route();
        case Route::State::failed:
            return refuse(503, fmt::format("plugin {} is not available: {}", route.plugin, route.reason));
        case Route::State::active:
            break;
    }
    if (handshake) return answer(200, route.manifest_json);
    dispatch_to_plugin(capability);
}

void Client::dispatch_to_plugin(std::string_view capability) {
    if (!slot_.route().manifest.implements(capability)) {
        slot_.note_lacking(std::string{capability});
        return answer_error(404,
                            fmt::format("plugin {} does not implement {}; its manifest is {}", slot_.route().plugin,
                                        escaped(capability, 60), slot_.route().manifest_json));
    }
    if (!slot_.is_open()) return wait_for_route();
    forward();
}

void Client::wait_for_route() {
    if (withdrawn_) return answer_removed();
    state_ = State::waiting;
    if (waiting_since_ == EventLoop::Clock::time_point{}) waiting_since_ = context_.loop.now();
    // The core ends every wait by a new Route; this deadline is the promise to the engine if that should fail.
    const auto left = waiting_since_ + slot_.route().wait_limit + std::chrono::seconds{1} - context_.loop.now();
    context_.deadlines.set(*this, left);
    slot_.note_wanted();
}

void Client::on_route_changed() {
    if (state_ != State::waiting) return;
    DeadlineList::clear(*this);
    dispatch();
    progress();
}

void Client::forward() {
    if (!call_.is_running()) call_.start(slot_.meter().method(path_), context_.loop.now());
    upstream_ = slot_.idle().take();
    upstream_is_reused_ = upstream_ != nullptr;
    if (!upstream_is_reused_) return connect();
    upstream_->begin(*this);
    on_upstream_ready();
}

void Client::connect() {
    upstream_is_reused_ = false;
    state_ = State::connecting;
    upstream_ = std::make_shared<Upstream>(context_, slot_.route().target);
    upstream_->connect(*this);
}

void Client::on_upstream_ready() {
    state_ = State::exchanging;
    if (head_only_) upstream_->expect_no_body();
    write_request();
    limit_answer();
    if (!done_) pump_request();
    write_later();
}

/// To the plugin and to the engine.
void Client::write_later() {
    context_.loop.defer(*this);
}

void Client::on_batch_end() {
    if (state_ == State::exchanging) {
        upstream_->flush();
        if (upstream_is_reused_ && upstream_->is_deaf() && !upstream_->has_sent()) retry_on_new_connection();
    }
    progress();
}

void Client::write_request() {
    ByteQueue& out = upstream_->channel().out;
    if (head_consumed_) {
        out.append(carried_);
        carried_.clear();
        return;
    }
    if (!std::exchange(head_is_fresh_, false)) {
        // It had to wait, and the scratch pad has been used by others. It was valid, so it still is.
        HeadParser again;
        static_cast<void>(again.parse_request(channel_.in.bytes(), context_.parsed));
    }
    write_request_head(out, context_.parsed, *upstream_->target());
    consume_head();
}

void Client::on_connect_failed(const std::string& reason, bool refused) {
    const auto failed = std::move(upstream_);
    slot_.note_down(failed->target(), reason, refused);
    context_.loop.retire(failed);
    dispatch();  // it may have moved or been removed meanwhile; if not, this waits for the next route
    progress();
}

void Client::retry_on_new_connection() {
    carried_ = upstream_->channel().out.bytes();
    drop_upstream();
    if (slot_.is_open()) return connect();
    dispatch();
}

std::size_t Client::RequestSink::take_body(std::string_view piece) {
    return write_body(client.upstream_->channel().out, piece, client.chunked_);
}

bool Client::may_pipe_request() const noexcept {
    return !chunked_ && channel_.in.empty() && !upstream_->channel().stream.is_tls() &&
           (request_pipe_ || body_parser_.plain_bytes() >= kPipedFrom);
}

/// Past the queues. need_more: something was moved; blocked: nothing could be; done: nothing more will come this way.
/// Nothing where there is no pipe.
std::optional<ParseStatus> Client::pipe_request_body() {
    Channel& to = upstream_->channel();
    to.flush();
    if (!to.out.empty()) return ParseStatus::blocked;
    if (!request_pipe_) request_pipe_ = context_.pipes.take();
    if (!request_pipe_) return std::nullopt;
    const BodyPipe::Moved moved = request_pipe_->move(channel_, to, body_parser_.plain_bytes());
    if (moved.came > 0) {
        body_parser_.skip(moved.came);
        call_.add_request_bytes(moved.came);
    }
    if (moved.came + moved.left > 0) limit_answer();
    if (request_pipe_->size() == 0 && (body_parser_.is_done() || channel_.ended || channel_.broken))
        return ParseStatus::done;
    return moved.came + moved.left > 0 ? ParseStatus::need_more : ParseStatus::blocked;
}

/// Hands on what has come of the body: a large piece with the block that it lies in, where it needs no framing.
ParseStatus Client::move_request_body() {
    ByteQueue& in = channel_.in;
    ByteQueue& out = upstream_->channel().out;
    if (const std::size_t size = in.size(); !chunked_ && size >= kLargePiece && body_parser_.plain_bytes() >= size) {
        if (!out.empty()) upstream_->flush();
        if (!out.empty()) return ParseStatus::blocked;
        out.take_over(in);
        body_parser_.skip(size);
        call_.add_request_bytes(size);
        limit_answer();
        return body_parser_.is_done() ? ParseStatus::done : ParseStatus::need_more;
    }
    RequestSink sink{*this};
    std::size_t used = 0;
    const ParseStatus status = body_parser_.parse(in.bytes(), sink, used);
    in.consume(used);
    call_.add_request_bytes(used);
    if (used > 0) limit_answer();
    return status;
}

void Client::pump_request() {
    // Where the plugin listens no more, its answer, or the end of the connection, decides.
    if (done_ || !upstream_ || upstream_->is_deaf()) return;
    for (int round = 0; round < kRoundsPerTurn; ++round) {
        if (may_pipe_request()) {
            const auto piped = pipe_request_body();
            if (piped == ParseStatus::need_more) continue;
            if (piped == ParseStatus::blocked) return;
        }
        switch (move_request_body()) {
            case ParseStatus::done:
                done_ = true;
                if (chunked_) write_last_chunk(upstream_->channel().out);
                return write_later();
            case ParseStatus::malformed:
                return request_broken(400, fmt::format("its body is malformed: {}", body_parser_.problem().text));
            case ParseStatus::blocked:
                upstream_->flush();
                if (upstream_->channel().out.empty()) break;
                return;  // on_upstream_room() goes on
            case ParseStatus::need_more:
                if (channel_.ended || channel_.broken) return request_broken(400, "its body ended early");
                upstream_->flush();
                if (!channel_.fill()) return;
                break;
        }
    }
    upstream_->flush();
    go_on_later();
}

void Client::on_upstream_room() {
    pump_request();
    progress();
}

/// The client's side of the exchange went wrong: the plugin must not take what it got for a whole request.
void Client::request_broken(unsigned status, const std::string& problem) {
    call_.finish(Outcome::client_gone, context_.loop.now());
    drop_upstream();
    if (answer_started_) return close();
    close_after_ = true;
    answer_error(status, fmt::format("the request {} was not completed: {}", escaped(path_, 100), problem));
}

void Client::on_response_head(const HttpHead& head) {
    if (head.status < 200) {
        if (head.status == 100) awaits_continue_ = false;
        // Room must stay for the final head. HTTP/1.0 knows no interim responses (RFC 9110 15.2).
        if (client_http11_ && channel_.out.room() > head.bytes + kMaxHeadBytes + 2 * kHeadSlack)
            write_response_head(channel_.out, head, {});
        return;
    }
    DeadlineList::clear(*this);
    answer_started_ = true;
    answer_status_ = head.status;
    framing_ = {};
    framing_.client_http11 = client_http11_;
    framing_.body = head_only_ ? BodyFraming::none : head.framing;
    framing_.close = close_after_ || withdrawn_ || !done_;
    if (framing_.body == BodyFraming::chunked || framing_.body == BodyFraming::until_close) {
        framing_.body = client_http11_ ? BodyFraming::chunked : BodyFraming::until_close;
        if (!client_http11_) framing_.close = true;
    }
    write_response_head(channel_.out, head, framing_);
}

std::size_t Client::take_body(std::string_view piece) {
    const bool chunked = framing_.body == BodyFraming::chunked;
    std::size_t taken = write_body(channel_.out, piece, chunked);
    if (taken < piece.size() && channel_.flush()) taken += write_body(channel_.out, piece.substr(taken), chunked);
    if (taken < piece.size()) awaited_room_ = BlockPool::kBlockBytes / 2;
    call_.add_answer_bytes(taken);
    return taken;
}

UpstreamUser::Piped Client::pipe_body(Channel& from, std::uint64_t limit) {
    if (framing_.body == BodyFraming::chunked) return {};
    channel_.flush();
    if (!channel_.out.empty()) {
        awaited_room_ = BlockPool::kBlockBytes;
        return {false, 0, false, answer_pipe_ && answer_pipe_->size() > 0};
    }
    if (!answer_pipe_) answer_pipe_ = context_.pipes.take();
    if (!answer_pipe_) return {};
    const BodyPipe::Moved moved = answer_pipe_->move(from, channel_, limit);
    call_.add_answer_bytes(moved.came);
    return {false, moved.came, moved.came + moved.left > 0, answer_pipe_->size() > 0};
}

void Client::give_pipes_back() {
    context_.pipes.give_back(std::move(request_pipe_));
    context_.pipes.give_back(std::move(answer_pipe_));
}

UpstreamUser::Taken Client::take_block(ByteQueue& bytes) {
    if (framing_.body == BodyFraming::chunked) return Taken::refused;
    channel_.flush();
    if (!channel_.out.empty()) {
        awaited_room_ = BlockPool::kBlockBytes;
        return Taken::nothing;
    }
    call_.add_answer_bytes(bytes.size());
    channel_.out.take_over(bytes);
    channel_.flush();
    return Taken::all;
}

void Client::on_response_end(bool reusable) {
    if (framing_.body == BodyFraming::chunked) write_last_chunk(channel_.out);
    call_.finish(answer_status_ < 400 ? Outcome::ok : Outcome::plugin_error, context_.loop.now());
    if (reusable && done_) {
        slot_.park(std::move(upstream_));
        upstream_.reset();
    } else {
        drop_upstream();
    }
    if (framing_.close || withdrawn_) {
        start_closing();
    } else {
        next_request();
    }
    write_later();
}

void Client::on_upstream_turn_end() {
    progress();
}

void Client::on_upstream_failed(const std::string& reason, bool) {
    if (answer_started_) {
        call_.finish(Outcome::broker_error, context_.loop.now());
        channel_.flush();
        return close();  // before its framing says that it is complete: the client can tell
    }
    if (upstream_is_reused_ && !upstream_->has_sent()) {
        retry_on_new_connection();
        return;
    }
    const std::string plugin = plugin_text();
    slot_.note_call_failed(upstream_->target());
    drop_upstream();
    if (!done_) close_after_ = true;
    answer_error(
        502, fmt::format("{} failed in the call {}: {}; the call may have been carried out and is not repeated", plugin,
                         escaped(path_, 100), reason));
    progress();
}

void Client::answer_error(unsigned status, const std::string& message) {
    answer(status, error_body(message));
}

void Client::answer(unsigned status, std::string body) {
    DeadlineList::clear(*this);
    call_.finish(Outcome::broker_error, context_.loop.now());
    if (!head_consumed_ || !done_) discard_body();
    write_local_answer(channel_.out, {status, std::move(body), client_http11_, close_after_ || withdrawn_, head_only_});
    if (close_after_ || withdrawn_) {
        start_closing();
    } else {
        next_request();
    }
}

/// The broker answers by itself: what is left of the request must not be taken for the next one.
void Client::discard_body() {
    if (!head_consumed_) {
        consume_head();
    } else if (close_after_) {
        return;
    }
    DiscardSink sink;
    std::size_t used = 0;
    done_ = body_parser_.parse(channel_.in.bytes(), sink, used) == ParseStatus::done;
    channel_.in.consume(used);
    // Not all here yet: rather than wait for it, end the connection after the answer.
    if (!done_) close_after_ = true;
}

void Client::consume_head() {
    channel_.in.consume(head_bytes_);
    head_consumed_ = true;
}

void Client::next_request() {
    head_parser_.reset();
    give_pipes_back();
    head_only_ = false;
    client_http11_ = true;
    state_ = State::reading;
}

void Client::start_closing() {
    state_ = State::closing;
    channel_.in.clear();
    context_.deadlines.set(*this, kDrainLimit);
}

/// Lets the peer read the answer before the connection goes: closing with unread input would reset it, and a peer that
/// writes all of its request before it reads would wait for us as we for it.
bool Client::finish_closing() {
    const bool moved = channel_.fill();
    channel_.in.clear();
    if (channel_.out.empty() && !shut_down_) {
        channel_.stream.shut_down_writing();
        shut_down_ = true;
        context_.deadlines.set(*this, kLingerLimit);
    }
    if (channel_.broken || (channel_.ended && channel_.out.empty())) close();
    return moved && state_ != State::closed;
}

void Client::on_deadline() {
    switch (state_) {
        case State::reading:
            close_after_ = head_consumed_ = true;
            path_.clear();
            answer_error(408, fmt::format("the head of the request took longer than {} s (request-timeout)",
                                          context_.head_limit.count()));
            break;
        case State::waiting:
            refuse(504, fmt::format("plugin {} did not become active within {} s", slot_.route().plugin,
                                    slot_.route().wait_limit.count() / 1000));
            break;
        case State::exchanging:
            answer_late();
            break;
        case State::closing:
            return close();
        case State::connecting:
        case State::closed:
            return;
    }
    progress();
}

void Client::on_withdrawn() {
    withdrawn_ = true;
    if (state_ == State::reading) return close();
    if (state_ != State::waiting) return;
    answer_removed();
    progress();
}

void Client::answer_removed() {
    refuse(503, fmt::format("plugin {} has been removed", slot_.route().plugin));
}

/// The plugin is not there to answer: counted as its failure, also where no call has begun.
void Client::refuse(unsigned status, const std::string& message) {
    if (!call_.is_running() && path_ != docker_plugin_api::kActivatePath) slot_.meter().method(path_).refuse();
    answer_error(status, message);
}

void Client::drop_upstream() {
    give_pipes_back();
    if (!upstream_) return;
    upstream_->close();
    context_.loop.retire(std::move(upstream_));
    upstream_.reset();
}

void Client::close() {
    if (state_ == State::closed) return;
    state_ = State::closed;
    call_.finish(Outcome::client_gone, context_.loop.now());
    DeadlineList::clear(*this);
    drop_upstream();
    channel_.close();
    slot_.note_closed(*this);
}

/// For the plugin, from the last progress of the request.
void Client::limit_answer() {
    if (answer_started_) return;
    const auto limit = slot_.route().answer_limits->of(path_);
    if (limit != AnswerLimits::Limit::zero()) context_.deadlines.set(*this, limit);
}

void Client::answer_late() {
    const double seconds = std::chrono::duration<double>{slot_.route().answer_limits->of(path_)}.count();
    // The plugin has taken all that came of the request and was to come: the one who is late is the client.
    const bool is_all_taken = upstream_->channel().out.empty() && (!request_pipe_ || request_pipe_->size() == 0);
    if (!done_ && !awaits_continue_ && !upstream_->is_deaf() && is_all_taken)
        return request_broken(408, fmt::format("the rest of its body did not come within {} s", seconds));
    const std::string plugin = plugin_text();
    drop_upstream();
    if (!done_) close_after_ = true;
    answer_error(504, fmt::format("{} has not answered the call {} within {} s (answer-timeout); it may still be "
                                  "working on it, and the call is not repeated",
                                  plugin, escaped(path_, 100), seconds));
}

std::string Client::plugin_text() const {
    return fmt::format("plugin {} ({})", slot_.route().plugin, upstream_->target()->url);
}

}  // namespace brokerd
