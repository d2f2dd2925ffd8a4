#pragma once

#include <rapidjson/document.h>

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/client_error.h"
#include "common/plugin_stats.h"
#include "common/plugin_view.h"
#include "common/result.h"
#include "common/unix_http.h"

namespace brokerd {

/// The control socket of `host`: "unix:///run/brokerd/control.sock" or the bare path. An error says what to write.
/// Other hosts (ssh://) are not for this.
[[nodiscard]] Result<std::string> control_socket_of(std::string_view host);

/// Asks brokerd over its control socket, one connection for each call.
/// Thread: any. Every call waits for its answer, at most as long as it says; none throws for what the daemon does.
///
/// The transport is Boost.Beast's response parser over a plain socket, and not cpp-httplib, because a
/// command line is mostly start-up: the dynamic linker loads OpenSSL and brotli for Debian's compiled cpp-httplib,
/// which no Unix socket needs. Start to exit of a GET, median of 200 runs on the 2-core test machine: 3.7 ms with
/// cpp-httplib, 1.4 ms with Beast on Asio, 1.2 ms with Beast's parser alone; an empty C++ program takes 1.1 ms. The
/// whole of `pluginctl ls` takes 1.8 ms, and may take 4.5 ms (0.3 of `docker plugin ls`), of which cpp-httplib alone
/// would use four fifths.
class ControlClient {
public:
    /// The daemon's word on itself: members of /version as they came.
    struct Version {
        rapidjson::Document document;
        std::string server;  ///< header Server
    };
    /// A plugin's answer to a proxied call, or the daemon's own in its place.
    struct CallReply {
        int status = 0;
        std::string body;
    };
    struct EventQuery {
        std::string capability;  ///< empty for all
        std::string replay;      ///< "" for none, a count, or "active"
    };
    /// Returns whether to go on.
    using EventHandler = std::function<bool(const PluginEvent&)>;

    explicit ControlClient(ControlHost host) noexcept : http_{std::move(host)} {}

    [[nodiscard]] Result<std::vector<PluginView>, ClientError> plugins() const;
    /// The plugin's JSON object as the daemon wrote it, so that members which only a newer daemon knows are kept.
    [[nodiscard]] Result<std::string, ClientError> inspect(std::string_view name) const;
    /// Waits until the handshake ended, at most `timeout`.
    [[nodiscard]] Result<PluginView, ClientError> activate(std::string_view name, std::chrono::seconds timeout) const;
    /// Passes `body` to the plugin's `method`. A plugin's refusal is an answer, not an error.
    [[nodiscard]] Result<CallReply, ClientError> call(std::string_view name, std::string_view method,
                                                      std::string_view body) const;
    [[nodiscard]] Result<std::vector<Finding>, ClientError> doctor() const;
    /// How every plugin was called, by name.
    [[nodiscard]] Result<std::vector<PluginStats>, ClientError> stats() const;
    [[nodiscard]] Result<Version, ClientError> version() const;

    /// Hands on events for as long as `handler` wants them, or until `hangup_fd` (see UnixHttp::stream) is in error:
    /// then 0. Whatever else ends the stream is an error: no_daemon where the daemon went away, interrupted where
    /// `interrupt_fd` became readable.
    [[nodiscard]] Result<int, ClientError> events(const EventQuery& query, const EventHandler& handler, int hangup_fd,
                                                  int interrupt_fd = -1) const;

    [[nodiscard]] const ControlHost& host() const noexcept { return http_.host(); }

private:
    UnixHttp http_;
};

}  // namespace brokerd
