#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "daemon/proxy/upstream.h"

namespace brokerd {

/// How a handshake ended.
struct HandshakeOutcome {
    enum class Kind : std::uint8_t {
        answered,     ///< with `status` and `body`
        unreachable,  ///< no connection, or it broke, or no answer in time: `reason`
        refused,      ///< TLS was refused by one side: `reason`
        malformed,    ///< what it answered is not HTTP/1.1: `reason`
    };
    Kind kind = Kind::unreachable;
    unsigned status = 0;
    std::string body;
    std::string reason;
};

/// One POST /Plugin.Activate over a connection of its own (Docker Plugin API, "Handshake API").
/// Thread: one proxy thread's.
class Handshake final : public UpstreamUser, public Deadline, public std::enable_shared_from_this<Handshake> {
public:
    /// `done` is called once, unless the object is destroyed before. `upstream` is the connection where it can be used
    /// on, else null.
    using Done = std::function<void(HandshakeOutcome outcome, std::shared_ptr<Upstream> upstream)>;

    Handshake(ThreadContext& context, std::shared_ptr<const Target> target, Done done);
    ~Handshake() override;

    void start(std::chrono::milliseconds limit);

    void on_deadline() override;
    void on_upstream_ready() override;
    void on_connect_failed(const std::string& reason, ConnectFailure cause) override;
    void on_response_head(const HttpHead& head) override;
    std::size_t take_body(std::string_view piece) override;
    void on_response_end(bool reusable) override;
    void on_upstream_failed(const std::string& reason, bool malformed) override;
    void on_upstream_room() override {}
    void on_upstream_turn_end() override {}

private:
    void finish(HandshakeOutcome outcome, bool keep);

    ThreadContext& context_;
    std::shared_ptr<Upstream> upstream_;
    Done done_;
    unsigned status_ = 0;
    std::string body_;
    std::chrono::milliseconds limit_{0};
};

}  // namespace brokerd
