#pragma once

#include <sys/socket.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/endpoint.h"
#include "common/manifest.h"
#include "common/result.h"
#include "daemon/proxy/answer_limits.h"
#include "daemon/proxy/path_rewrite.h"
#include "daemon/tls/tls_context.h"

namespace brokerd {

/// One address to connect to.
struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t length = 0;
};

/// An endpoint made ready to connect to: names resolved, certificates loaded. Immutable, shared between threads.
struct Target {
    std::string url;                        ///< for messages
    std::string host_header;                ///< what a request to it carries as Host
    std::vector<SocketAddress> addresses;   ///< to be tried in order
    std::string own_socket;                 ///< not empty: the socket's path, where a link is not followed
    std::shared_ptr<const TlsContext> tls;  ///< null: no TLS

    /// Whether prepare() may wait (for the resolver or for certificate files) and so is a worker's job.
    [[nodiscard]] static bool needs_worker(const Endpoint& endpoint);
    /// The error is one sentence with cause and remedy; `is_final` where trying again within seconds will not help.
    struct Problem {
        std::string message;
        bool is_final = false;
    };
    [[nodiscard]] static Result<std::shared_ptr<const Target>, Problem> prepare(const Endpoint& endpoint);
};

/// What a proxy thread knows of one plugin. Immutable: the core loop hands over a new one for each change.
struct Route {
    enum class State : std::uint8_t {
        waiting,  ///< not active yet, or again: requests wait for the next Route
        active,   ///< requests are forwarded to `target`
        failed,   ///< requests are answered at once with `reason`
    };

    std::uint64_t id = 0;  ///< the plugin, for messages between core and proxy
    std::string plugin;    ///< its name, for people
    State state = State::waiting;
    std::string reason;                    ///< why it is not active
    std::shared_ptr<const Target> target;  ///< present where active
    Manifest manifest;                     ///< filled where active
    std::string manifest_json;
    /// A request waits at most this long for activation (DESIGN.md section 6).
    std::chrono::milliseconds wait_limit{30'000};
    /// To the first byte of an answer (DESIGN.md section 7). Never null.
    std::shared_ptr<const AnswerLimits> answer_limits;
    /// How the paths in its answers are to be rewritten; null: not at all (a plugin that brokerd does not run). To be
    /// set in every state, because an answer to an earlier request may come in any.
    std::shared_ptr<const PathRewrite> paths;
};

}  // namespace brokerd
