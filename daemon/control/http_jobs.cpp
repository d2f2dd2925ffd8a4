#include <sys/epoll.h>

#include <exception>
#include <utility>

#include "daemon/control/error_reply.h"
#include "daemon/control/http_server.h"
#include "daemon/loop/log.h"

// Requests that a thread of their own works on. The server's thread moves the body in, notices that the client goes,
// and takes the connection back when the job has answered. One client may make slow what it asked for itself, never
// more: a full pipe stops the reading of its own socket only.

namespace brokerd {
namespace {

/// Then it is the turn of the other connections: 1 MiB.
constexpr int kPiecesAtOnce = 8;

}  // namespace

void HttpServer::start_job(const Exchange& exchange, JobWork work) {
    HttpConnection* connection = find(exchange);
    if (connection == nullptr || connection->state != HttpConnection::State::answering) return;
    if (!job_shares_.is_full() && !job_shares_.has_room(connection->user)) {
        return send_reply(
            *connection,
            error_reply::too_many_jobs_of_user(connection->user, job_shares_.of(connection->user), limits_.jobs),
            connection->keep_alive);
    }
    // Whoever comes when all places are taken waits where there are clients that may be given up. Otherwise it is
    // refused: nobody would see why nothing happens, and what is waited for may take hours.
    if (!has_room_for_job() && starved_jobs_.empty()) {
        return send_reply(*connection, error_reply::too_many_jobs(limits_.jobs), connection->keep_alive);
    }
    WaitingJob job{exchange, std::move(work), Clock::now()};
    if (has_room_for_job()) return begin_job(*connection, std::move(job));
    waiting_jobs_.emplace(exchange.number(), std::move(job));
}

void HttpServer::begin_job(HttpConnection& connection, WaitingJob job) {
    try {
        if (!connection.pump) connection.pump.emplace(BodyParser{});
        const bool body_is_whole = connection.pump->is_done();
        const auto link = std::make_shared<JobLink>(
            mailbox_, job.exchange, connection.descriptor(),
            JobLink::Settings{connection.to_head, connection.chunked, connection.keep_alive,
                              connection.expects_continue && !body_is_whole, body_is_whole, limits_.write_stall});
        jobs_.emplace(job.exchange.number(), RunningJob{link, connection.user});
        job_shares_.take(connection.user);
        job_threads_->submit([link, work = std::move(job.work)](int) { run_job(link, work); });
        connection.job = link;
        // The job will ask for it at once.
        if (!body_is_whole)
            starved_jobs_.wait_for(connection.id(), connection.user, WaitingClients::Kind::owing, Clock::now());
    } catch (const std::exception& error) {
        forget_job(job.exchange.number());
        log_error("control socket: a job cannot be started: {}", error.what());
        return send_reply(connection, error_reply::internal_error(error.what()), connection.keep_alive);
    }
    connection.state = HttpConnection::State::working;
    set_deadline(connection, std::nullopt);
    update_interest(connection);
}

void HttpServer::open_body(const Exchange& exchange, UniqueFd pipe) {
    HttpConnection* connection = find(exchange);
    if (connection == nullptr || connection->state != HttpConnection::State::working) return;
    if (connection->job->body() != BodyState::coming) return;
    connection->pump->open(std::move(pipe));
    move_body(*connection);
}

void HttpServer::move_body(HttpConnection& connection) {
    BodyPump& pump = *connection.pump;
    BodyPump::Step step = BodyPump::Step::moved;
    for (int i = 0; i < kPiecesAtOnce && step == BodyPump::Step::moved; ++i) {
        step = pump.move(connection.descriptor(), connection.input, buffer_);
    }
    switch (step) {
        case BodyPump::Step::moved:
        case BodyPump::Step::starved:
        case BodyPump::Step::full:
            break;
        case BodyPump::Step::whole:
            return end_body(connection, BodyState::whole);
        case BodyPump::Step::cut_off:
            return end_body(connection, BodyState::cut_off);
        case BodyPump::Step::malformed:
            return end_body(connection, BodyState::malformed, pump.problem().text);
        case BodyPump::Step::unwanted:
            return end_body(connection, BodyState::unwanted);
        case BodyPump::Step::failed:
            return close(connection);
    }
    // A job may take its time with what it has; only the client has a deadline.
    const bool was_awaited = std::exchange(connection.awaits_body, step != BodyPump::Step::full);
    note_progress(connection, was_awaited);
    watch_pipe(connection, !connection.awaits_body);
    limit_body(connection, was_awaited);
    update_interest(connection);
}

/// A client that drips is as late as one that sends nothing.
void HttpServer::limit_body(HttpConnection& connection, bool was_awaited) {
    if (!connection.awaits_body) return set_deadline(connection, std::nullopt);
    const std::uint64_t moved = connection.pump->moved();
    if (was_awaited && connection.deadline && moved - connection.body_timed < kBodyProgress) return;
    connection.body_timed = moved;
    set_deadline(connection, limits_.body);
}

/// For when somebody else needs the job's place.
void HttpServer::note_progress(HttpConnection& connection, bool was_awaited) {
    if (!connection.awaits_body) return starved_jobs_.forget(connection.id());
    const std::uint64_t moved = connection.pump->moved();
    if (was_awaited && moved - connection.body_noted < kBodyProgress) return;
    connection.body_noted = moved;
    starved_jobs_.wait_for(connection.id(), connection.user, WaitingClients::Kind::owing, Clock::now());
}

void HttpServer::on_pipe(Exchange::Id id, std::uint32_t events) {
    const auto found = connections_.find(id);
    if (found == connections_.end() || !found->second->pipe_watched) return;
    if ((events & EPOLLERR) != 0) return end_body(*found->second, BodyState::unwanted);
    move_body(*found->second);
}

/// Nothing more goes into the pipe. The job is told first why it ends.
void HttpServer::end_body(HttpConnection& connection, BodyState state, std::string why) {
    connection.job->end_body(state, std::move(why));
    watch_pipe(connection, false);
    connection.pump->close();
    connection.awaits_body = false;
    starved_jobs_.forget(connection.id());
    set_deadline(connection, std::nullopt);
    update_interest(connection);
}

void HttpServer::conclude(const Exchange& exchange, const JobConclusion& conclusion) {
    HttpConnection* connection = find(exchange);
    if (connection == nullptr || connection->state != HttpConnection::State::working) return;
    end_body(*connection, BodyState::unwanted);
    if (conclusion.broken) return close(*connection);
    if (conclusion.reply) return send_reply(*connection, *conclusion.reply, connection->keep_alive);
    const bool ends_itself = connection->chunked || connection->to_head;
    connection->keep_alive = connection->keep_alive && ends_itself && connection->pump->is_done();
    replied(*connection);
}

void HttpServer::job_ended(const Exchange& exchange) {
    forget_job(exchange.number());
}

void HttpServer::forget_job(Exchange::Id number) {
    const auto ended = jobs_.find(number);
    if (ended == jobs_.end()) return;
    if (ended->second.is_given_up) --given_up_jobs_;
    job_shares_.give_back(ended->second.user);
    jobs_.erase(ended);
}

}  // namespace brokerd
