#pragma once

#include <boost/intrusive/list.hpp>

#include <memory>
#include <string>

#include "daemon/http/head_parser.h"
#include "daemon/metrics/call_meter.h"
#include "daemon/proxy/answer_writer.h"
#include "daemon/proxy/connection_ledger.h"
#include "daemon/proxy/paths_answer.h"
#include "daemon/proxy/request_body.h"
#include "daemon/proxy/upstream.h"
#include "daemon/stream/channel.h"
#include "daemon/stream/deadline.h"

namespace brokerd {

class RouteSlot;

/// A connection that an engine has made to a published socket: reads requests one after another, answers them or
/// forwards them, and streams the answers back. This is the state machine: RequestBody and AnswerWriter move the bytes,
/// and what concerns the exchange with the plugin, deadlines, and the end of brokerd, is in source files of their own,
/// client_exchange.cpp, client_deadlines.cpp and client_draining.cpp. Owned by its RouteSlot. Thread: one proxy
/// thread's.
class Client final : public EventHandler,
                     public Deadline,
                     public Deferred,
                     public UpstreamUser,
                     public std::enable_shared_from_this<Client> {
public:
    /// Ours: for the peer to take the rest of the last answer.
    static constexpr std::chrono::seconds kDrainLimit{60};
    /// Ours: for the peer to read the last answer and close, after we have said that we will.
    static constexpr std::chrono::seconds kLingerLimit{2};
    /// Ours: while brokerd drains, a connection on which nothing has come for this long is closed.
    static constexpr std::chrono::milliseconds kIdleGrace{500};
    /// Ours: less than this of a body within its deadline is no progress. A client that drips is as late as one that
    /// stops.
    static constexpr std::uint64_t kBodyProgress = std::uint64_t{16} << 10;

    Client(ThreadContext& context, RouteSlot& slot, UniqueFd connected);
    ~Client() override;

    /// First turn, right after accepting.
    void start();
    /// The slot has a new route: go on with a request that waits for it.
    void on_route_changed();
    /// The slot goes away: end now what is idle or waiting, and the rest after its present exchange.
    void on_withdrawn();
    /// The process will end: finish the present request, and answer one that comes within the grace, as the last one.
    void on_draining();
    /// The time for that is over: the present request is answered with what has become of it.
    void on_cut_off();

    [[nodiscard]] bool is_waiting() const noexcept { return state_ == State::waiting; }

    // EventHandler, Deadline, Deferred
    void on_events(std::uint32_t events) override;
    void on_deadline() override;
    void on_batch_end() override;
    // UpstreamUser
    void on_upstream_ready() override;
    void on_connect_failed(const std::string& reason, ConnectFailure cause) override;
    void on_response_head(const HttpHead& head) override;
    std::size_t take_body(std::string_view piece) override;
    Taken take_block(ByteQueue& bytes) override;
    Piped pipe_body(Channel& from, std::uint64_t limit) override;
    void on_response_end(bool reusable) override;
    void on_upstream_failed(const std::string& reason, bool malformed) override;
    void on_upstream_room() override;
    void on_upstream_turn_end() override;

private:
    enum class State : std::uint8_t {
        reading,     ///< waiting for a request, or within its head
        waiting,     ///< a request waits for the plugin to become active
        connecting,  ///< … for its upstream connection
        exchanging,  ///< request and answer are under way
        answering,   ///< an answer that was held is being written
        closing,     ///< the last answer is being written; what still comes is thrown away
        closed,
    };

    /// Of a client that takes nothing of what is written to it, whatever else it is waited for.
    class Unread final : public Deadline {
    public:
        explicit Unread(Client& client) noexcept : client_{client} {}
        void on_deadline() override { client_.end_unread(); }

        std::uint64_t noted = 0;  ///< Channel::written when it was set

    private:
        Client& client_;
    };

    void progress();
    void go_on_later();
    [[nodiscard]] bool step();
    [[nodiscard]] bool read_request();
    void note_request();
    void dispatch();
    void dispatch_to_plugin(std::string_view capability);
    void wait_for_route();
    void forward();
    void connect();
    void write_request();
    void write_later();
    void give_pipes_back();
    void retry_on_new_connection();
    void pump_request();
    void request_broken(unsigned status, const std::string& problem);
    /// The answer is written.
    void end_request(bool is_last);
    void next_request();
    void answer(unsigned status, std::string body);
    void answer_removed();
    void refuse(unsigned status, const std::string& message);
    void answer_error(unsigned status, const std::string& message);
    void discard_body();
    void consume_head();
    void drop_upstream();
    void start_closing();
    [[nodiscard]] bool finish_closing();
    void close();
    void end_idle();
    void cut_off(const std::string& message);
    void release_upstream(bool reusable);
    void expect_paths();
    void end_paths_answer(bool reusable);
    void refuse_paths_answer(const std::string& plugin, const std::string& problem);
    [[nodiscard]] bool write_paths_answer();
    void limit_answer();
    void limit_body(std::size_t came);
    void answer_late();
    [[nodiscard]] bool is_client_late();
    void limit_unread();
    void end_unread();
    /// "plugin NAME (URL)", for messages.
    [[nodiscard]] std::string plugin_text() const;

    ThreadContext& context_;
    RouteSlot& slot_;
    Channel channel_;
    ConnectionLedger::Mark mark_;  // goes before channel_, whose descriptor it is about
    HeadParser head_parser_;
    State state_ = State::reading;
    std::shared_ptr<Upstream> upstream_;
    std::string carried_;  ///< what a broken reused connection did not take, for the next one
    std::string path_;     ///< the request's; kept because the head's bytes go
    RequestBody body_;
    AnswerWriter answer_;
    std::unique_ptr<PathsAnswer> paths_answer_;  ///< the present request's, where its answer tells paths
    MeteredCall call_;
    EventLoop::Clock::time_point waiting_since_{};
    std::unique_ptr<Unread> unread_;  ///< while it takes nothing of an answer: few do, and those at rest are many
    // Of the present request:
    std::size_t head_bytes_ = 0;
    AnswerLimits::Limit answer_limit_{};
    std::uint64_t body_came_ = 0;   ///< of the body, since the deadline was set
    std::uint64_t body_noted_ = 0;  ///< what the upstream's channel had written then
    bool head_is_fresh_ = false;    ///< `context_.parsed` is this request's
    bool head_consumed_ = false;
    bool head_only_ = false;  ///< its method is HEAD
    bool client_http11_ = true;
    bool awaits_continue_ = false;  ///< sends its body only once the plugin says so
    bool close_after_ = false;
    bool upstream_is_reused_ = false;
    // Of the connection:
    bool withdrawn_ = false;
    bool draining_ = false;
    bool in_progress_ = false;
    bool shut_down_ = false;
};

}  // namespace brokerd
