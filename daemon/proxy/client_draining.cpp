#include <fmt/format.h>

#include "common/plugin_name.h"
#include "daemon/proxy/client.h"
#include "daemon/proxy/route_slot.h"

// How a client's connection ends for reasons of ours: brokerd is told to end, or the plugin is withdrawn. Nobody is to
// lose a call by it without being told, where the protocol still has room for words.

namespace brokerd {

void Client::on_draining() {
    draining_ = true;
    switch (state_) {
        case State::reading:
            if (!is_linked()) context_.deadlines.set(*this, kIdleGrace);
            return;
        case State::waiting:
        case State::connecting:
        case State::exchanging:
            // An answer that has begun has promised to go on: its connection gets the grace.
            if (!answer_.is_begun()) close_after_ = true;
            return;
        case State::answering:
        case State::closing:
        case State::closed:
            return;
    }
}

/// The grace of an idle connection is over. A client that starts to send at this very moment must not lose its call:
/// from here on its write fails, and nothing of it has left; what it has sent before is read and answered.
void Client::end_idle() {
    if (!channel_.out.empty()) return context_.deadlines.set(*this, kIdleGrace);          // still takes its last answer
    if (!channel_.in.empty()) return context_.deadlines.set(*this, context_.head_limit);  // has begun a request
    channel_.stream.shut_down_reading();
    channel_.note(EPOLLIN | EPOLLRDHUP);
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

/// Where an answer has begun there is no room for words: it ends with the process, before its framing says that it is
/// complete.
void Client::on_cut_off() {
    constexpr auto kReason = "brokerd is being restarted or stopped";
    switch (state_) {
        case State::reading:
            if (channel_.in.empty()) return;  // on_draining() has set its deadline
            head_consumed_ = true;
            path_.clear();
            cut_off(fmt::format("{}, and the request was not complete", kReason));
            return;
        case State::waiting:
        case State::connecting:
            cut_off(fmt::format("{}, and plugin {} has not become available by now; nothing was sent to it", kReason,
                                slot_.route().plugin));
            return;
        case State::exchanging:
            if (answer_.is_begun()) return;
            cut_off(
                fmt::format("{}, and {} has not answered the call {} by now; it may still be working on it, and the "
                            "call is not repeated",
                            kReason, plugin_text(), escaped(path_, 100)));
            return;
        case State::answering:
        case State::closing:
        case State::closed:
            return;
    }
}

void Client::cut_off(const std::string& message) {
    drop_upstream();
    close_after_ = true;
    answer_error(503, message);
    progress();
}

}  // namespace brokerd
