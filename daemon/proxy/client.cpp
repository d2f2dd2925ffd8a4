#include "daemon/proxy/client.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/capability.h"
#include "common/plugin_name.h"
#include "common/protocol/docker_plugin_api.h"
#include "daemon/proxy/message_writer.h"
#include "daemon/proxy/route_slot.h"

// One request at a time: the next one is read when the answer to the present one has been written. Bytes stay where
// they were read until they have been forwarded, so a request that waits for its plugin costs nothing but its buffer.

namespace brokerd {
namespace {

/// A path's memory is kept for the next one up to this: methods are shorter.
constexpr std::size_t kUsualPathBytes = 256;

}  // namespace

Client::Client(ThreadContext& context, RouteSlot& slot, UniqueFd connected)
    : context_{context},
      slot_{slot},
      channel_{context.loop, context.blocks},
      mark_{context.ledger, connected.get()},
      body_{context.pipes},
      answer_{channel_, context.pipes} {
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
    if (!channel_.can_write() || unread_) [[unlikely]]
        limit_unread();
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
            if (answer_.can_go_on()) {
                upstream_->pump();
                return true;
            }
            pump_request();
            return state_ == State::reading || state_ == State::closing;
        case State::answering:
            return write_paths_answer();
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
        if (goes_in_a_circle(context_.parsed)) {
            refuse(502,
                   fmt::format("the call has come through brokerd many times: the definition of plugin {} leads to a "
                               "published socket, and from there in a circle; write the plugin's own address",
                               slot_.route().plugin));
        } else {
            dispatch();
        }
        head_is_fresh_ = false;
        return true;
    }
    if (channel_.ended || channel_.broken) {
        close();
        return false;
    }
    mark_.set(ConnectionLedger::State::unknown);  // a kill may come between the reading and whatever we do next
    if (channel_.fill(!channel_.in.empty())) return true;
    if (channel_.in.empty()) mark_.set(ConnectionLedger::State::resting);
    if (!channel_.in.empty() && !is_linked()) context_.deadlines.set(*this, context_.head_limit);
    return false;
}

/// Keeps what is needed of the head after its bytes have gone.
void Client::note_request() {
    const HttpHead& head = context_.parsed;
    path_ = head.target.substr(0, head.target.find('?'));
    head_bytes_ = head.bytes;
    body_.start(head);
    answer_.reset();
    head_only_ = head.method == "HEAD";
    client_http11_ = head.http11;
    close_after_ = !head.keep_alive || draining_;
    awaits_continue_ = head.expects_continue;
    head_consumed_ = false;
    carried_.clear();
    waiting_since_ = {};
    if (client_http11_ && !head_only_) mark_.set(ConnectionLedger::State::unanswered);
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

void Client::answer_error(unsigned status, const std::string& message) {
    answer(status, error_body(message));
}

void Client::answer(unsigned status, std::string body) {
    DeadlineList::clear(*this);
    call_.finish(Outcome::broker_error, context_.loop.now());
    if (!head_consumed_ || !body_.is_done()) discard_body();
    const bool is_last = close_after_ || withdrawn_;
    mark_.set(ConnectionLedger::State::unknown);
    write_local_answer(channel_.out, {status, std::move(body), client_http11_, is_last, head_only_});
    end_request(is_last);
}

/// The broker answers by itself: what is left of the request must not be taken for the next one.
void Client::discard_body() {
    if (!head_consumed_) {
        consume_head();
    } else if (close_after_) {
        return;
    }
    // Not all here yet: rather than wait for it, end the connection after the answer.
    if (!body_.discard(channel_.in)) close_after_ = true;
}

void Client::consume_head() {
    channel_.in.consume(head_bytes_);
    head_consumed_ = true;
}

void Client::end_request(bool is_last) {
    if (is_last) {
        start_closing();
    } else {
        next_request();
    }
}

void Client::next_request() {
    head_parser_.reset();
    give_pipes_back();
    if (path_.capacity() > kUsualPathBytes) path_ = {};
    paths_answer_.reset();
    head_only_ = false;
    client_http11_ = true;
    state_ = State::reading;
    if (draining_) context_.deadlines.set(*this, kIdleGrace);
}

void Client::start_closing() {
    state_ = State::closing;
    give_pipes_back();
    channel_.watch_reading(true);
    channel_.in.clear();
    context_.deadlines.set(*this, kDrainLimit);
}

/// Lets the peer read the answer before the connection goes: closing with unread input would reset it, and a peer that
/// writes all of its request before it reads would wait for us as we for it.
bool Client::finish_closing() {
    const bool moved = channel_.fill(true);
    channel_.in.clear();
    if (channel_.out.empty() && !shut_down_) {
        channel_.stream.shut_down_writing();
        shut_down_ = true;
        context_.deadlines.set(*this, kLingerLimit);
    }
    if (channel_.broken || (channel_.ended && channel_.out.empty())) close();
    return moved && state_ != State::closed;
}

/// The plugin is not there to answer: counted as its failure, also where no call has begun.
void Client::refuse(unsigned status, const std::string& message) {
    if (!call_.is_running() && path_ != docker_plugin_api::kActivatePath) slot_.meter().method(path_).refuse();
    answer_error(status, message);
}

void Client::close() {
    if (state_ == State::closed) return;
    state_ = State::closed;
    call_.finish(Outcome::client_gone, context_.loop.now());
    DeadlineList::clear(*this);
    if (unread_) DeadlineList::clear(*unread_);  // it may be what closes us
    drop_upstream();
    mark_.end();
    channel_.close();
    slot_.note_closed(*this);
}

}  // namespace brokerd
