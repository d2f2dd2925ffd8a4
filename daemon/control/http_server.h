#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/os/unique_fd.h"
#include "daemon/control/control_message.h"
#include "daemon/control/exchange.h"
#include "daemon/control/http_connection.h"
#include "daemon/control/job.h"
#include "daemon/control/job_link.h"
#include "daemon/control/peer_credentials.h"
#include "daemon/control/peer_process.h"
#include "daemon/control/unread_answers.h"
#include "daemon/control/user_shares.h"
#include "daemon/control/waiting_clients.h"
#include "daemon/control/worker_pool.h"
#include "daemon/loop/mailbox.h"

namespace brokerd {

/// HTTP/1.1 on a listening Unix socket. One thread moves the bytes of all connections and never waits for a single one:
/// an idle, slow or stuck client costs a descriptor and a buffer, no thread. Requests that take long become jobs, with
/// a thread each (job.h). It knows nothing of plugins. Precondition: SIGPIPE is ignored.
///
/// Thread: construct, start and destroy on one thread; the members marked so on the server's own; post() on any.
class HttpServer {
public:
    using Clock = std::chrono::steady_clock;

    /// All ours. Tests make them smaller.
    struct Limits {
        /// Beyond it, the client that has kept the server waiting for longest makes room for a new one (see
        /// WaitingClients); where there is none, clients wait in the backlog. Streams do not count.
        std::size_t connections = 1024;
        std::size_t streams = 1024;  ///< beyond it, or beyond its user's share (UserShares), open_stream() refuses
        std::size_t stream_backlog = std::size_t{256} * 1024;  ///< bytes that a stream's client may leave unread
        /// Bytes of answers that clients have not taken yet, of all together; answers up to kSmallAnswer do not count,
        /// and one that several clients read counts once. Beyond it, the client that has taken nothing for longest is
        /// closed; where none is late, the next answer is an error.
        std::size_t unread = std::size_t{128} * 1024 * 1024;
        /// At the same time, each with a thread. Beyond it, the client that is slowest to send a job its body makes
        /// room; where there is none, and beyond a user's share, start_job() refuses.
        std::size_t jobs = 128;
        std::chrono::milliseconds head{10'000};  ///< from the first byte of a request to the end of its head
        /// From there to the end of its body; for a job that reads it: without another kBodyProgress.
        std::chrono::milliseconds body{60'000};
        std::chrono::milliseconds reply{30'000};        ///< for the handler, unless it asks for more
        std::chrono::milliseconds write_stall{30'000};  ///< an answer of which the client takes nothing, a job's too
        std::chrono::milliseconds idle{300'000};        ///< between two requests
        /// How long a client may at least be silent when somebody needs its place: before its first request, within
        /// one, and before it has taken its answer. Of a job's body it must send kBodyProgress meanwhile.
        std::chrono::milliseconds owing{1'000};
        std::chrono::milliseconds resting{3'000};  ///< the same between two requests
        /// For a client to read the last answer and close; as long as it goes on sending what nobody wants, anew with
        /// each piece, up to `body` in all: some read no answer before they have sent everything.
        std::chrono::milliseconds linger{2'000};
    };

    /// Ours: whoever sends less of it within Limits::owing is slow, and within Limits::body too slow.
    static constexpr std::uint64_t kBodyProgress = std::uint64_t{16} * 1024;

    static constexpr std::size_t kSmallAnswer = std::size_t{64} * 1024;

    /// Called on the server's thread, must not wait. Exceptions become 500.
    using Handler = std::function<void(const ControlRequest& request, Exchange exchange)>;
    /// Whether the handler is to be called as soon as the head of a request has come, because a job reads the body.
    /// Otherwise the body is collected first.
    using BodyRule = std::function<bool(const ControlRequest& head)>;

    /// The listening socket is used, and at the end closed, but never shut down: systemd may hold it as well.
    HttpServer(UniqueFd listening_socket, PeerPolicy policy, Limits limits);
    /// Drops all connections. Requests that are still being handled lose their answer.
    ~HttpServer();
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;

    /// Serves from now on. Apart from the constructor, because handlers refer to what refers to the server.
    void start(Handler handler, BodyRule streams_body = {});
    /// Ends the server's thread, cancels all jobs and waits for them: after this no handler, mail, stream callback or
    /// job runs. The destructor does it, too.
    void stop() noexcept;

    /// Runs `work` on the server's thread, in the order of posting. Any thread.
    void post(std::function<void()> work);

    // ---- on the server's thread ----

    /// The time that the handler of this request may take from now on.
    void expect_reply_within(const Exchange& exchange, std::chrono::milliseconds time);

    /// Whether somebody still waits for the answer.
    [[nodiscard]] bool awaits(const Exchange& exchange);
    void finish(const Exchange& exchange, ControlReply reply);
    /// The same with an answer that others get, too: its body is there once.
    void finish(const Exchange& exchange, std::shared_ptr<const ControlReply> reply);
    /// As Exchange::start_job().
    void start_job(const Exchange& exchange, JobWork work);

    // ---- for JobLink, on the server's thread ----

    void open_body(const Exchange& exchange, UniqueFd pipe);
    void conclude(const Exchange& exchange, const JobConclusion& conclusion);
    void job_ended(const Exchange& exchange);

    /// Who made the connection that the request came on; an empty one where it is gone.
    [[nodiscard]] PeerProcess peer(const Exchange& exchange);

    enum class StreamEnd : std::uint8_t {
        gone,         ///< with the client's end of the connection
        half_closed,  ///< also when the client only stops sending
    };

    /// Answers with a body without end: send() feeds it. `closed` is told once, when the client has gone or is
    /// dropped. False where the request is gone already or there are too many streams (then it is answered with 503).
    [[nodiscard]] bool open_stream(const Exchange& exchange, const std::string& content_type,
                                   std::function<void()> closed, StreamEnd end = StreamEnd::gone);
    /// False where the stream is gone, perhaps because of this: a client that does not read is dropped.
    bool send(const Exchange& exchange, std::string_view bytes);
    /// The stream is complete after this time, unless the client has gone before; then `closed` is told as well.
    void end_stream_within(const Exchange& exchange, std::chrono::milliseconds time);

private:
    using Connections = std::unordered_map<Exchange::Id, std::unique_ptr<HttpConnection>>;
    struct WaitingJob {
        Exchange exchange;
        JobWork work;
        Clock::time_point since;
    };
    struct RunningJob {
        std::shared_ptr<JobLink> link;
        uid_t user = 0;
        bool is_given_up = false;  ///< its place is another one's already
    };

    void run();
    void dispatch(Exchange::Id id, std::uint32_t events);
    void run_mail();
    void accept_some();
    void add(UniqueFd socket);
    void admit();
    [[nodiscard]] bool is_full() const { return connections_.size() - streams_.taken() >= limits_.connections; }
    [[nodiscard]] bool make_room();
    [[nodiscard]] bool give_up(HttpConnection& connection);
    void tell_of_descriptors(int problem);
    void await_client(HttpConnection& connection);
    void wake_at(std::optional<Clock::time_point> time);
    void expire();
    [[nodiscard]] int time_to_first_deadline() const;

    void on_readable(HttpConnection& connection);
    void on_writable(HttpConnection& connection);
    void advance(HttpConnection& connection);
    void await_more(HttpConnection& connection);
    void take_head(HttpConnection& connection);
    void handle(HttpConnection& connection, const ControlRequest& request);
    void send_reply(HttpConnection& connection, ControlReply reply, bool keep_alive);
    void send_reply(HttpConnection& connection, std::shared_ptr<const ControlReply> reply, bool keep_alive);
    [[nodiscard]] bool make_room_for(const UnreadAnswers::Answer& answer);
    void charge_answer(HttpConnection& connection, const UnreadAnswers::Answer& answer);
    void forget_answer(HttpConnection& connection) noexcept;
    void write_on(HttpConnection& connection);
    void end_stream(HttpConnection& connection);
    void drain(HttpConnection& connection);
    void replied(HttpConnection& connection);
    void refuse(HttpConnection& connection, ControlReply reply);
    void close(HttpConnection& connection);
    void move_body(HttpConnection& connection);
    void end_body(HttpConnection& connection, BodyState state, std::string why = {});
    void admit_jobs(Clock::time_point now);
    [[nodiscard]] bool has_room_for_job() const { return jobs_.size() - given_up_jobs_ < limits_.jobs; }
    [[nodiscard]] bool give_up_job(Clock::time_point now);
    void begin_job(HttpConnection& connection, WaitingJob job);
    void forget_job(Exchange::Id number);
    void note_progress(HttpConnection& connection, bool was_awaited);
    void limit_body(HttpConnection& connection, bool was_awaited);
    void on_pipe(Exchange::Id id, std::uint32_t events);
    void watch_pipe(HttpConnection& connection, bool on);

    [[nodiscard]] HttpConnection* find(const Exchange& exchange);
    void set_deadline(HttpConnection& connection, std::optional<std::chrono::milliseconds> from_now);
    void watch(HttpConnection& connection);
    void update_interest(HttpConnection& connection);
    void watch_listener(bool on);

    UniqueFd listener_;
    PeerPolicy policy_;
    Limits limits_;
    Handler handler_;
    BodyRule streams_body_;
    std::shared_ptr<Mailbox<HttpServer&>> mailbox_;
    UniqueFd epoll_;
    Connections connections_;
    std::set<std::pair<Clock::time_point, Exchange::Id>> deadlines_;
    UnreadAnswers unread_;  ///< see Limits::unread
    UserShares streams_;
    UserShares job_shares_;                              ///< of jobs_
    WaitingClients waiting_;                             ///< the connections that are receiving, replying or draining
    std::unordered_map<Exchange::Id, RunningJob> jobs_;  ///< by the number of the request
    std::size_t given_up_jobs_ = 0;                      ///< of these
    WaitingClients starved_jobs_;                        ///< connections of those that wait for their body
    std::map<Exchange::Id, WaitingJob> waiting_jobs_;    ///< for a place, by the number of the request
    std::vector<char> buffer_;                           ///< bodies pass through it
    std::unique_ptr<WorkerPool> job_threads_;
    Exchange::Id last_id_;
    Exchange::Id last_exchange_ = 0;
    bool listening_ = false;
    std::optional<Clock::time_point> out_of_descriptors_until_;
    std::optional<Clock::time_point> told_of_descriptors_;
    std::optional<Clock::time_point>
        next_admission_;  ///< when somebody's time is over and another one can have the place
    std::thread thread_;
};

}  // namespace brokerd
