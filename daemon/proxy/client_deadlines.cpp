#include <fmt/format.h>

#include <chrono>

#include "common/plugin_name.h"
#include "daemon/proxy/client.h"
#include "daemon/proxy/route_slot.h"

// How long a client, or the plugin that it calls, may take. There is a deadline wherever somebody is waited for, but
// for the next request on a connection that is kept, and for a plugin's answer that has begun: both may take any time.

namespace brokerd {

void Client::on_deadline() {
    switch (state_) {
        case State::reading:
            if (draining_) {
                end_idle();
                break;
            }
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
        case State::answering:
        case State::closed:
            return;
    }
    progress();
}

/// For the plugin, from the last progress of the request; once its answer has begun, for what is still missing of the
/// request.
void Client::limit_answer() {
    if (answer_.is_begun() && body_.is_done()) return DeadlineList::clear(*this);
    answer_limit_ = slot_.route().answer_limits->of(path_);
    body_came_ = 0;
    body_noted_ = upstream_->channel().written;
    if (answer_limit_ != AnswerLimits::Limit::zero()) context_.deadlines.set(*this, answer_limit_);
}

/// Some of the body has moved, and `came` of it from the client.
void Client::limit_body(std::size_t came) {
    body_came_ += came;
    const std::uint64_t moved = body_came_ + upstream_->channel().written - body_noted_;
    if (body_.is_done() || moved >= kBodyProgress) limit_answer();
}

/// Whether the plugin has taken all that came of the request, and more was to come.
bool Client::is_client_late() {
    const bool is_all_taken = upstream_->channel().out.empty() && !body_.is_held();
    return !body_.is_done() && !awaits_continue_ && !upstream_->is_deaf() && is_all_taken;
}

void Client::answer_late() {
    const double seconds = std::chrono::duration<double>{answer_limit_}.count();
    if (is_client_late()) {
        return request_broken(408, fmt::format("the rest of its body did not come within {} s, nor {} KiB of it",
                                               seconds, kBodyProgress >> 10));
    }
    if (answer_.is_begun()) return limit_answer();  // the plugin does not read on, and goes on answering
    const std::string plugin = plugin_text();
    drop_upstream();
    if (!body_.is_done()) close_after_ = true;
    answer_error(504, fmt::format("{} has not answered the call {} within {} s (answer-timeout); it may still be "
                                  "working on it, and the call is not repeated",
                                  plugin, escaped(path_, 100), seconds));
}

/// After each turn in which a write has found no room: the client's time begins anew with each byte that it takes.
void Client::limit_unread() {
    const bool has_answer =
        state_ == State::reading || state_ == State::answering || (state_ == State::exchanging && answer_.is_begun());
    const bool owes = has_answer && !channel_.can_write() && !draining_;
    if (!owes) return unread_.reset();
    if (!unread_) unread_ = std::make_unique<Unread>(*this);
    if (unread_->is_linked() && unread_->noted == channel_.written) return;
    unread_->noted = channel_.written;
    if (context_.unread_limit > std::chrono::seconds::zero()) context_.deadlines.set(*unread_, context_.unread_limit);
}

void Client::end_unread() {
    slot_.tell_unread();
    close();
}

}  // namespace brokerd
