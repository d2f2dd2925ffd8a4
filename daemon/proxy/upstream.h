#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "daemon/http/body_parser.h"
#include "daemon/http/head_parser.h"
#include "daemon/proxy/route.h"
#include "daemon/stream/body_pipe.h"
#include "daemon/stream/channel.h"
#include "daemon/stream/deadline.h"
#include "daemon/tls/session_store.h"

namespace brokerd {

class ConnectionLedger;

/// What a proxy thread's connections share. Outlives them.
struct ThreadContext {
    ThreadContext(std::size_t clients, std::chrono::seconds head, std::chrono::seconds unread)
        : clients_per_socket{clients}, head_limit{head}, unread_limit{unread} {}

    /// This thread's share of the connections that one published socket may have.
    std::size_t clients_per_socket;
    /// From the first byte of a request's head to its end.
    std::chrono::seconds head_limit;
    /// For a client that takes nothing of what is written to it; zero: none.
    std::chrono::seconds unread_limit;
    /// Where clients' connections are marked, if anywhere.
    ConnectionLedger* ledger = nullptr;
    EventLoop loop;
    BlockPool blocks;
    SessionStore tls_sessions;
    BodyPipePool pipes;
    DeadlineList deadlines{loop};
    /// The head that was parsed last: a scratch pad, good until the next one is parsed or its bytes go.
    HttpHead parsed;
};

/// Why no connection could be made.
enum class ConnectFailure : std::uint8_t {
    unreachable,  ///< nobody listens, or nobody answers: it may come up
    refused,      ///< TLS refused: trying again will not help
    shortage,     ///< we have run out of descriptors or memory: nothing is known of the plugin
};

/// Who uses an upstream connection for one exchange (one request and its answer). Each callback may close the upstream.
class UpstreamUser : public BodySink {
public:
    /// Connected: the request may now be written to Upstream::channel().out.
    virtual void on_upstream_ready() = 0;
    enum class Taken : std::uint8_t {
        all,      ///< without a copy
        nothing,  ///< no room: Upstream::pump() will be called
        refused,  ///< to be handed over by take_body() instead
    };
    struct Piped {
        bool refused = true;  ///< to be handed over by the other ways
        std::size_t came = 0;
        bool progress = false;
        bool holds = false;  ///< the pipe still holds bytes
    };
    /// Offers up to `limit` bytes of the body that can come from `from`, whose `in` is empty, past the queues.
    virtual Piped pipe_body(Channel& from, std::uint64_t limit) {
        static_cast<void>(from);
        static_cast<void>(limit);
        return {};
    }
    /// Offers everything that `bytes` holds, a large piece of the answer's body.
    virtual Taken take_block(ByteQueue& bytes) {
        static_cast<void>(bytes);
        return Taken::refused;
    }
    /// No address could be connected to; nothing has been sent.
    virtual void on_connect_failed(const std::string& reason, ConnectFailure cause) = 0;
    /// An interim (1xx) or the final response head; views are valid during the call.
    virtual void on_response_head(const HttpHead& head) = 0;
    /// The response is complete. `reusable`: by its framing the connection can carry another request.
    virtual void on_response_end(bool reusable) = 0;
    /// The connection failed before the response was complete, or the answer is `malformed`.
    virtual void on_upstream_failed(const std::string& reason, bool malformed) = 0;
    /// There is room again for what is written to the upstream.
    virtual void on_upstream_room() = 0;
    /// All that the upstream had to tell for now has been told: time to write on what was taken.
    virtual void on_upstream_turn_end() = 0;

protected:
    ~UpstreamUser() = default;
};

class Upstream;

/// Who keeps a connection while it is idle.
class IdleKeeper {
public:
    /// The plugin has closed it, or has sent something that nobody asked for.
    virtual void on_idle_end(Upstream& ended) = 0;

protected:
    ~IdleKeeper() = default;
};

/// A connection to a plugin: connects (trying each address), puts TLS over it, and carries one exchange after another.
/// Thread: one proxy thread's. Owned by its user, or by a pool while idle.
class Upstream final : public EventHandler, public Deadline, public std::enable_shared_from_this<Upstream> {
public:
    /// Ours: connecting to one address and its TLS handshake. Longer than a lost SYN's second retransmission (3 s).
    static constexpr std::chrono::seconds kConnectLimit{5};
    /// Ours: after this no further address of a name is tried.
    static constexpr std::chrono::seconds kAllAddressesLimit{15};
    /// Ours: how long a full backlog, or a lack of descriptors, is waited out before it counts as a failure.
    static constexpr std::chrono::seconds kBusyLimit{20};

    Upstream(ThreadContext& context, std::shared_ptr<const Target> target);
    ~Upstream() override;

    /// Starts to connect; `user` is told how that ends. Where that can be told at once, on_upstream_ready() comes
    /// before this returns; a failure never does.
    void connect(UpstreamUser& user);
    /// Attaches to an idle connection for the next exchange; write the request to channel().out afterwards.
    void begin(UpstreamUser& user);
    /// The request is one whose answer has no body (HEAD).
    void expect_no_body() noexcept { body_expected_ = false; }
    /// Detaches the user and keeps the connection open for `keeper`, who outlives it or closes it.
    void park(IdleKeeper& keeper) noexcept;
    /// Ends the connection at once. Idempotent.
    void close();

    /// Writes what is queued; a failure is told to the user later, through the loop, if it is not told by an answer.
    void flush() { channel_.flush(); }
    /// Goes on parsing the answer after the sink had no room.
    void pump();

    [[nodiscard]] Channel& channel() noexcept { return channel_; }
    [[nodiscard]] const std::shared_ptr<const Target>& target() const noexcept { return target_; }
    /// The plugin takes no more of the request; an answer may still come.
    [[nodiscard]] bool is_deaf() const noexcept { return channel_.write_broken; }
    /// Whether any byte of the present exchange's request has left.
    [[nodiscard]] bool has_sent() const noexcept { return channel_.written > written_before_; }
    /// For an idle connection: it cannot be used again. On a Unix socket that shows in the first write, too, of which
    /// then nothing has left; on others only a look before it tells.
    [[nodiscard]] bool is_stale() {
        return channel_.ended || channel_.broken || channel_.write_broken || (!is_unix_ && channel_.stream.is_stale());
    }

    void on_events(std::uint32_t events) override;
    void on_deadline() override;

private:
    enum class State : std::uint8_t { connecting, tls_handshake, exchanging, idle, closed };

    void try_next_address();
    void try_again_later();
    void go_on_later();
    void on_connecting();
    void on_handshaking();
    void on_connected();
    void ready();
    void address_failed(const std::string& reason, ConnectFailure cause);
    void parse_head();
    void parse_body();
    [[nodiscard]] bool may_pipe_body() const noexcept;
    [[nodiscard]] std::optional<bool> pipe_body();
    [[nodiscard]] ParseStatus move_body();
    void fail(const std::string& reason);
    void refuse(const std::string& problem);
    void tell_failure(const std::string& reason, bool malformed);

    ThreadContext& context_;
    std::shared_ptr<const Target> target_;
    UpstreamUser* user_ = nullptr;
    IdleKeeper* keeper_ = nullptr;
    Channel channel_;
    HeadParser head_parser_;
    BodyParser body_;
    State state_ = State::connecting;
    std::size_t next_address_ = 0;
    bool waits_to_retry_ = false;
    EventLoop::Clock::time_point began_{};
    std::string last_reason_;
    ConnectFailure last_cause_ = ConnectFailure::unreachable;
    bool may_resume_ = true;  ///< a TLS session may be offered
    bool is_unix_ = false;
    bool head_done_ = false;
    bool piping_ = false;              ///< the user's pipe holds bytes of the answer
    bool answer_keeps_alive_ = false;  ///< by its head, another request may follow on this connection
    bool body_expected_ = true;
    unsigned interim_responses_ = 0;
    std::uint64_t written_before_ = 0;
};

/// Ends a connection and lets go of it: `upstream` is null afterwards, and may be before. The object itself lives until
/// the end of the batch, in which an event for it may still stand.
void drop(ThreadContext& context, std::shared_ptr<Upstream>& upstream);

}  // namespace brokerd
