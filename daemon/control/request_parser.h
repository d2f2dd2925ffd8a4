#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "daemon/control/control_message.h"
#include "daemon/http/body_parser.h"

namespace brokerd {

/// Turns the bytes of one connection into requests, one after another. Does no I/O.
class RequestParser {
public:
    /// Ours: registry credentials (X-Registry-Auth) from Docker's clients stay below 10 KiB. No more: Beast throws for a
    /// value beyond 65,535 bytes.
    static constexpr std::size_t kMaxHeadBytes = std::size_t{64} * 1024;
    /// Ours: bodies that are collected are settings and plugin calls; what is larger is streamed to a job.
    static constexpr std::size_t kMaxBodyBytes = std::size_t{1024} * 1024;

    enum class Progress {
        need_more,
        head,      ///< once per request: call collect_body() and go on feeding, or take_streamed()
        complete,  ///< take() it
        malformed,
    };
    /// A request whose body is still to come. The parser is ready for the next one, once that body is over.
    struct Streamed {
        ControlRequest request;
        BodyParser body;
    };

    RequestParser();
    ~RequestParser();
    RequestParser(RequestParser&&) noexcept;
    RequestParser& operator=(RequestParser&&) noexcept;

    /// Consumes from the front of `input` what belongs to the current request.
    [[nodiscard]] Progress feed(std::string& input);
    /// The other side will send no more. Malformed unless nothing of a request has been seen.
    [[nodiscard]] Progress end_of_input() const;

    /// The request without its body. Precondition, also of the next two: feed() has just said `head`.
    [[nodiscard]] const ControlRequest& head() const noexcept;
    void collect_body();
    [[nodiscard]] Streamed take_streamed();

    /// Whether the client waits for "100 Continue" before it sends the body; true once per request, after its head.
    [[nodiscard]] bool take_expectation();

    /// The complete request; the parser is then ready for the next one.
    [[nodiscard]] ControlRequest take();
    /// Whether the connection may be used again after the current request. Ask before take() and take_streamed().
    [[nodiscard]] bool keep_alive() const;
    /// The answer to malformed input.
    [[nodiscard]] const ControlReply& refusal() const noexcept { return refusal_; }

private:
    struct Current;

    [[nodiscard]] Progress refuse(ControlReply refusal);
    /// What Beast lets through and brokerd does not.
    [[nodiscard]] bool check_head();

    std::unique_ptr<Current> current_;
    ControlReply refusal_;
};

}  // namespace brokerd
