#include "daemon/proxy/client.h"

#include <fmt/format.h>

#include <utility>

#include "common/letter_case.h"
#include "common/plugin_name.h"
#include "daemon/http/head_parser.h"
#include "daemon/proxy/message_writer.h"
#include "daemon/proxy/route_slot.h"

// A client's exchange with the plugin, from the choice of a connection to the end of the answer.
//
// What has left is never sent again. A request moves to another connection only while not one byte of it has been taken
// by the first: a reused connection that the plugin had closed meanwhile refuses the first byte on a Unix socket, and
// is looked at before use on TCP (Upstream::is_stale).

namespace brokerd {
namespace {

/// What is to be read on the way must not come compressed.
void ask_for_plain_answer(HttpHead& request) {
    for (HttpField& field : request.fields) {
        if (equals_ignoring_case(field.name, "Accept-Encoding")) field.kind = FieldKind::hop_by_hop;
    }
}

}  // namespace

void Client::forward() {
    if (!call_.is_running()) call_.start(slot_.meter().method(path_), context_.loop.now());
    if (slot_.route().paths) [[unlikely]]
        expect_paths();
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
    pump_request();
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
    if (paths_answer_) [[unlikely]]
        ask_for_plain_answer(context_.parsed);
    write_request_head(out, context_.parsed, *upstream_->target());
    consume_head();
}

void Client::on_connect_failed(const std::string& reason, ConnectFailure cause) {
    const auto failed = std::move(upstream_);
    context_.loop.retire(failed);
    if (cause == ConnectFailure::shortage) {
        answer_error(503, fmt::format("brokerd could not connect to plugin {}: {}; raise its limits (LimitNOFILE=, "
                                      "MemoryMax=) or lower max-connections",
                                      slot_.route().plugin, reason));
        return progress();
    }
    slot_.note_down(failed->target(), reason, cause == ConnectFailure::refused);
    dispatch();  // it may have moved or been removed meanwhile; if not, this waits for the next route
    progress();
}

void Client::retry_on_new_connection() {
    carried_ = upstream_->channel().out.bytes();
    drop_upstream();
    if (slot_.is_open()) return connect();
    dispatch();
}

void Client::pump_request() {
    // Where the plugin listens no more, its answer, or the end of the connection, decides.
    if (body_.is_done() || !upstream_ || upstream_->is_deaf()) return;
    const RequestBody::Progress progress = body_.move(channel_, upstream_->channel());
    call_.add_request_bytes(progress.came);
    if (progress.came > 0) awaits_continue_ = false;  // it did not wait
    if (progress.is_moved) limit_body(progress.came);
    switch (progress.status) {
        case RequestBody::Status::waits:
            return;
        case RequestBody::Status::goes_on:
            return go_on_later();
        case RequestBody::Status::done:
            return write_later();
        case RequestBody::Status::malformed:
            return request_broken(body_.problem().status,
                                  fmt::format("its body is malformed: {}", body_.problem().text));
        case RequestBody::Status::ended_early:
            return request_broken(400, "its body ended early");
    }
}

void Client::on_upstream_room() {
    pump_request();
    progress();
}

/// The client's side of the exchange went wrong: the plugin must not take what it got for a whole request.
void Client::request_broken(unsigned status, const std::string& problem) {
    call_.finish(Outcome::client_gone, context_.loop.now());
    drop_upstream();
    if (answer_.is_begun()) return close();
    close_after_ = true;
    answer_error(status, fmt::format("the request {} was not completed: {}", escaped(path_, 100), problem));
}

void Client::on_response_head(const HttpHead& head) {
    mark_.set(ConnectionLedger::State::unknown);
    if (head.status < 200) {
        if (head.status == 100) awaits_continue_ = false;
        answer_.write_interim(head, client_http11_);
        return;
    }
    if (paths_answer_) [[unlikely]] {
        // The deadline stands: the engine gets no byte before the last has come.
        if (head.status == 200) return paths_answer_->begin(upstream_->channel().in.bytes().substr(0, head.bytes));
        paths_answer_.reset();
    }
    answer_.begin(head, {client_http11_, head_only_, close_after_ || withdrawn_ || !body_.is_done()});
    limit_answer();
}

std::size_t Client::take_body(std::string_view piece) {
    const std::size_t taken = paths_answer_ ? paths_answer_->take_body(piece) : answer_.take_body(piece);
    call_.add_answer_bytes(taken);
    return taken;
}

UpstreamUser::Taken Client::take_block(ByteQueue& bytes) {
    if (paths_answer_) [[unlikely]]
        return Taken::refused;
    const std::size_t size = bytes.size();
    const Taken taken = answer_.take_block(bytes);
    if (taken == Taken::all) call_.add_answer_bytes(size);
    return taken;
}

UpstreamUser::Piped Client::pipe_body(Channel& from, std::uint64_t limit) {
    if (paths_answer_) [[unlikely]]
        return {};
    const Piped piped = answer_.pipe_body(from, limit);
    call_.add_answer_bytes(piped.came);
    return piped;
}

void Client::on_response_end(bool reusable) {
    if (paths_answer_) [[unlikely]]
        return end_paths_answer(reusable);
    answer_.finish();
    call_.finish(answer_.status() < 400 ? Outcome::ok : Outcome::plugin_error, context_.loop.now());
    release_upstream(reusable);
    end_request(answer_.is_last() || withdrawn_);
    write_later();
}

void Client::release_upstream(bool reusable) {
    if (reusable && body_.is_done()) {
        slot_.park(std::move(upstream_));
        upstream_.reset();
    } else {
        drop_upstream();
    }
}

/// The request that is forwarded now is one whose answer tells paths as the plugin sees them, if it is.
void Client::expect_paths() {
    paths_answer_ =
        answer_tells_paths(path_) && !head_only_ ? std::make_unique<PathsAnswer>(slot_.route().paths) : nullptr;
}

void Client::end_paths_answer(bool reusable) {
    const std::string plugin = plugin_text();
    release_upstream(reusable);
    const auto length = paths_answer_->rewrite();
    if (!length) return refuse_paths_answer(plugin, length.error().message);
    DeadlineList::clear(*this);
    call_.finish(Outcome::ok, context_.loop.now());
    HeadParser again;
    HttpHead head;
    static_cast<void>(again.parse_response(paths_answer_->head(), head, true));  // it was valid, so it still is
    answer_.begin(head, {client_http11_, false, close_after_ || withdrawn_ || !body_.is_done(), *length});
    state_ = State::answering;
    write_later();
}

/// An answer that could tell wrong paths must not reach the engine, which would mount them.
void Client::refuse_paths_answer(const std::string& plugin, const std::string& problem) {
    if (!body_.is_done()) close_after_ = true;
    answer_error(502, fmt::format("the answer of {} to the call {} cannot be handed on: {}; the call may have been "
                                  "carried out and is not repeated",
                                  plugin, escaped(path_, 100), problem));
    write_later();
}

bool Client::write_paths_answer() {
    if (paths_answer_->write(channel_.out)) {
        end_request(answer_.is_last() || withdrawn_);
        return true;
    }
    channel_.flush();
    return channel_.out.room() > 0 && !channel_.write_broken;
}

void Client::on_upstream_turn_end() {
    if (paths_answer_ && paths_answer_->is_too_long()) [[unlikely]] {
        const std::string plugin = plugin_text();
        drop_upstream();
        refuse_paths_answer(plugin, fmt::format("it is longer than {} MiB", kMaxPathsAnswer >> 20));
    }
    progress();
}

void Client::on_upstream_failed(const std::string& reason, bool) {
    if (answer_.is_begun()) {
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
    if (!body_.is_done()) close_after_ = true;
    answer_error(
        502, fmt::format("{} failed in the call {}: {}; the call may have been carried out and is not repeated", plugin,
                         escaped(path_, 100), reason));
    progress();
}

void Client::give_pipes_back() {
    body_.give_pipe_back();
    answer_.give_pipe_back();
}

void Client::drop_upstream() {
    give_pipes_back();
    drop(context_, upstream_);
}

std::string Client::plugin_text() const {
    return fmt::format("plugin {} ({})", slot_.route().plugin, upstream_->target()->url);
}

}  // namespace brokerd
