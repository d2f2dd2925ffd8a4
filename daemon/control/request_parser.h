#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "daemon/control/control_message.h"

namespace brokerd {

/// Turns the bytes of one connection into requests, one after another. Does no I/O.
class RequestParser {
public:
    /// Ours: the longest head that a Docker client sends (registry credentials in X-Registry-Auth) is below 10 KiB.
    static constexpr std::size_t kMaxHeadBytes = std::size_t{32} * 1024;
    /// Ours: bodies are settings and plugin calls; what is larger will be streamed, not kept.
    static constexpr std::size_t kMaxBodyBytes = std::size_t{1024} * 1024;

    enum class Progress { need_more, complete, malformed };

    RequestParser();
    ~RequestParser();
    RequestParser(RequestParser&&) noexcept;
    RequestParser& operator=(RequestParser&&) noexcept;

    /// Consumes from the front of `input` what belongs to the current request.
    [[nodiscard]] Progress feed(std::string& input);
    /// The other side will send no more. Malformed unless nothing of a request has been seen.
    [[nodiscard]] Progress end_of_input() const;

    /// Whether the head of the current request is complete.
    [[nodiscard]] bool has_head() const noexcept;
    /// Whether the client waits for "100 Continue" before it sends the body; true once per request.
    [[nodiscard]] bool take_expectation();

    /// The complete request; the parser is then ready for the next one.
    [[nodiscard]] ControlRequest take();
    /// Whether the connection may be used again after the request that feed() completed. Ask before take().
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
