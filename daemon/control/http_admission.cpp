#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "common/os/process_facts.h"
#include "common/os/system_error.h"
#include "daemon/control/error_reply.h"
#include "daemon/control/http_server.h"
#include "daemon/loop/log.h"

// Who gets a place when all are taken, of connections or of jobs. A client may be stopped, broken or malicious, and all
// that it then costs the others must be a moment. So whoever keeps the server waiting for longest makes room for
// somebody new; as each is left alone for a while first (Limits::owing, Limits::resting), somebody new waits for that
// while at most. What the server itself is busy with, as jobs that have all they need, makes no room, and streams make
// none: of those a user other than root has no more than a share (UserShares).

namespace brokerd {
namespace {

/// How long accepting rests when there are no descriptors left, unless a connection ends before.
constexpr std::chrono::milliseconds kOutOfDescriptorsPause{500};
constexpr std::chrono::minutes kTellsOfDescriptors{1};
constexpr int kAcceptsAtOnce = 64;
/// A job that has waited for so many times Limits::owing is refused: those that run get what they wait for.
constexpr int kJobPatience = 5;

bool has_somebody_waiting(const UniqueFd& listener) {
    pollfd waiting{listener.get(), POLLIN, 0};
    return ::poll(&waiting, 1, 0) > 0;
}

}  // namespace

void HttpServer::accept_some() {
    bool made_room = false;
    for (int i = 0; i < kAcceptsAtOnce; ++i) {
        if (is_full() && !has_somebody_waiting(listener_)) return;
        while (is_full()) {
            if (!make_room()) return;
        }
        UniqueFd socket{accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
        if (socket) {
            add(std::move(socket));
            made_room = false;
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED) continue;
        if (errno == EAGAIN) return;
        // EMFILE, ENFILE, ENOBUFS, ENOMEM: the client stays in the backlog, and trying again at once would spin.
        tell_of_descriptors(errno);
        if (!made_room && make_room()) {
            made_room = true;
            continue;
        }
        out_of_descriptors_until_ = Clock::now() + kOutOfDescriptorsPause;
        return;
    }
}

void HttpServer::tell_of_descriptors(int problem) {
    const auto now = Clock::now();
    if (told_of_descriptors_ && now - *told_of_descriptors_ < kTellsOfDescriptors) return;
    told_of_descriptors_ = now;
    log_warning("control socket: cannot accept connections, or only in place of idle ones: {}", errno_text(problem));
}

void HttpServer::add(UniqueFd socket) {
    auto connection = std::make_unique<HttpConnection>(++last_id_, std::move(socket));
    try {
        const PeerCredentials peer = peer_credentials(connection->descriptor());
        connection->user = peer.uid;
        if (!policy_.allows(peer)) connection->refused = peer.describe();
    } catch (const std::exception& error) {
        log_warning("control socket: who is connecting? {}", error.what());
        return;
    }
    HttpConnection& added = *connection;
    added.accepted = ticks_since_boot();
    watch(added);
    connections_.emplace(added.id(), std::move(connection));
    set_deadline(added, added.refused.empty() ? limits_.idle : limits_.head);
    await_client(added);
}

/// Opens or shuts the door, after each round of the loop.
void HttpServer::admit() {
    const auto now = Clock::now();
    if (out_of_descriptors_until_ && now >= *out_of_descriptors_until_) out_of_descriptors_until_.reset();
    next_admission_.reset();
    admit_jobs(now);
    const bool has_room = !is_full() || waiting_.first(now);
    if (!has_room) wake_at(waiting_.due());
    watch_listener(has_room && !out_of_descriptors_until_);
}

void HttpServer::wake_at(std::optional<Clock::time_point> time) {
    if (time) next_admission_ = next_admission_ ? std::min(*next_admission_, *time) : *time;
}

/// From now on it is the client's turn.
void HttpServer::await_client(HttpConnection& connection) {
    connection.awaited_since = Clock::now();
    const bool rests =
        connection.state == HttpConnection::State::receiving && connection.exchange != 0 && !connection.has_begun();
    waiting_.wait_for(connection.id(), connection.user,
                      rests ? WaitingClients::Kind::resting : WaitingClients::Kind::owing, connection.awaited_since);
}

/// Ends the connection that has kept the server waiting for longest. False where there is none that may be ended yet.
bool HttpServer::make_room() {
    const auto now = Clock::now();  // who is spared gets new time, and is not seen again here
    while (const auto id = waiting_.first(now)) {
        if (give_up(*connections_.at(*id))) return true;
    }
    return false;
}

/// Room in memory: answers are whole before they are sent, and those that nobody takes must not add up. An answer with
/// many readers is there until the last of them has gone; as the oldest has kept its readers waiting for longest, it is
/// the first to go.
bool HttpServer::make_room_for(const UnreadAnswers::Answer& answer) {
    const auto fits = [&] { return unread_.bytes() == 0 || unread_.bytes() + answer->size() <= limits_.unread; };
    if (answer->size() <= kSmallAnswer || unread_.has(answer) || fits()) return true;
    const auto late = Clock::now() - limits_.owing;
    std::vector<std::pair<Clock::time_point, HttpConnection*>> readers;
    for (const auto& [id, connection] : connections_) {
        if (connection->unread && connection->awaited_since <= late)
            readers.emplace_back(connection->awaited_since, connection.get());
    }
    std::sort(readers.begin(), readers.end());
    for (const auto& [since, reader] : readers) {
        close(*reader);
        if (fits()) return true;
    }
    return false;
}

void HttpServer::charge_answer(HttpConnection& connection, const UnreadAnswers::Answer& answer) {
    if (answer->size() <= kSmallAnswer) return;
    unread_.hold(answer);
    connection.unread = answer;
}

void HttpServer::forget_answer(HttpConnection& connection) noexcept {
    if (connection.unread) unread_.let_go(connection.unread);
    connection.unread.reset();
}

/// A client that begins to send at this very moment must not lose its call: from here on its write fails, and nothing
/// of it has left; what it has sent before is read and answered. Then this is false.
bool HttpServer::give_up(HttpConnection& connection) {
    if (connection.state == HttpConnection::State::receiving) {
        connection.end_input();
        if (connection.has_unread()) {
            set_deadline(connection, limits_.head);
            await_client(connection);
            return false;
        }
        if (connection.has_begun()) {
            const ControlReply reply = error_reply::request_too_slow();
            connection.queue(head_bytes(reply, false) + reply.body);
            [[maybe_unused]] const auto as_far_as_it_goes = connection.flush();
        }
    }
    close(connection);
    return true;
}

/// Begins the jobs that there is room for. The others wait, for a bounded time.
void HttpServer::admit_jobs(Clock::time_point now) {
    while (!waiting_jobs_.empty()) {
        const auto first = waiting_jobs_.begin();
        if (!has_room_for_job() && !give_up_job(now)) {
            const auto patience = first->second.since + kJobPatience * limits_.owing;
            if (now < patience) return wake_at(std::min(starved_jobs_.due().value_or(patience), patience));
        }
        WaitingJob next = std::move(first->second);
        waiting_jobs_.erase(first);
        HttpConnection* const connection = find(next.exchange);
        if (connection == nullptr || connection->state != HttpConnection::State::answering) continue;
        if (has_room_for_job()) {
            begin_job(*connection, std::move(next));
        } else {
            send_reply(*connection, error_reply::too_many_jobs(limits_.jobs), connection->keep_alive);
        }
    }
}

/// Takes the place of the job whose client is slowest to send what the job is to read. It is told so, and ends.
bool HttpServer::give_up_job(Clock::time_point now) {
    while (const auto id = starved_jobs_.first(now)) {
        HttpConnection& connection = *connections_.at(*id);
        if (!connection.input.empty() || connection.has_unread()) {  // it is the job's turn
            starved_jobs_.wait_for(*id, connection.user, WaitingClients::Kind::owing, now);
            continue;
        }
        end_body(connection, BodyState::too_slow);
        const auto job = jobs_.find(connection.exchange);
        if (job == jobs_.end()) continue;
        job->second.is_given_up = true;
        ++given_up_jobs_;
        return true;
    }
    return false;
}

}  // namespace brokerd
