#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "common/control_host.h"
#include "common/os/unique_fd.h"
#include "common/result.h"

namespace brokerd {

/// A request's body that is read from a descriptor while it is sent, in chunks: nobody knows its length beforehand.
struct BodyStream {
    int fd = -1;  ///< borrowed, read to its end
    /// Asked at the end of `fd`, may wait: a sentence that says why the body is not whole breaks the request off, so
    /// that nobody takes a part for the whole. Empty: whole. Not set: always whole.
    std::function<std::string()> missing;
};

struct HttpRequest {
    std::string_view method;             ///< "GET", "POST" or "DELETE"
    std::string target;                  ///< path and query, percent-encoded by the caller
    std::string_view body;               ///< sent with its length where the method is POST and there is no `stream`
    const BodyStream* stream = nullptr;  ///< borrowed
    std::string_view content_type = "application/json";
    /// Header X-Registry-Auth of Docker's API: base64url of a JSON object, or empty for none.
    std::string_view registry_auth = {};
};

struct HttpReply {
    int status = 0;
    std::string server;       ///< header Server, may be empty
    std::string api_version;  ///< header Api-Version, may be empty
    std::string plugin_name;  ///< header Docker-Plugin-Name, may be empty
    std::string body;

    [[nodiscard]] bool good() const noexcept { return status >= 200 && status <= 299; }
};

/// Why there is no whole answer.
struct TransportError {
    enum class Kind {
        no_socket,          ///< nothing at that path
        refused,            ///< a socket that nobody listens on
        permission_denied,  ///< this user may not connect
        cannot_connect,     ///< any other reason; `detail` has the system's words
        timed_out,
        disconnected,  ///< the other side went away before its answer was complete
        malformed,     ///< what came is not HTTP/1.1
        too_large,
        body_failed,    ///< the request's own body could not be read whole; `detail` is the reason
        interrupted,    ///< by Wires::interrupt_fd
        tunnel_failed,  ///< what carries the bytes to another host says why in `detail`
    };

    Kind kind = Kind::cannot_connect;
    std::string detail;  ///< the system's or the parser's words, may be empty
};

/// One HTTP/1.1 exchange over a Unix socket, or a tunnel to one, at a time, a connection for each.
/// Every exchange is bounded in time and size, whatever the other side does; nothing here raises SIGPIPE.
/// Thread: any; a call waits until its exchange ended.
class UnixHttp {
public:
    struct Limits {
        /// From connecting to the last byte; for a stream, to the end of the header; more through a tunnel. Where the
        /// request's body is a stream too, it starts again with each piece of it.
        std::chrono::milliseconds time;
        std::size_t body_bytes;  ///< for a stream: of one piece of the body that the receiver has not taken
    };
    /// What else ends an exchange; borrowed, -1 for none.
    struct Wires {
        int hangup_fd = -1;     ///< in error: the reader of our own output went away
        int interrupt_fd = -1;  ///< readable: the user wants no more of it
    };
    struct Streamed {
        HttpReply reply;            ///< without the body of a 2xx: the receiver had it
        bool stopped_here = false;  ///< by the receiver or the hang-up, not by the other side
    };
    /// Takes bytes from the front of `body`, as many as it likes, by erasing them; false ends the stream.
    using Receiver = std::function<bool(std::string& body)>;

    explicit UnixHttp(ControlHost host) noexcept : host_{std::move(host)} {}

    [[nodiscard]] Result<HttpReply, TransportError> exchange(const HttpRequest& request, Limits limits,
                                                             Wires wires = {-1, -1}) const;

    /// Hands the body of a 2xx to `receive` as it comes, for as long as it comes: returns when `receive` says so, when
    /// the other side ends the answer, or when a wire ends it. An answer with another status is collected and returned
    /// as exchange() does.
    [[nodiscard]] Result<Streamed, TransportError> stream(const HttpRequest& request, Limits limits,
                                                          const Receiver& receive, Wires wires) const;

    [[nodiscard]] const ControlHost& host() const noexcept { return host_; }

private:
    ControlHost host_;
};

/// A connected socket. Waits for a place in the backlog, at most `time`.
[[nodiscard]] Result<UniqueFd, TransportError> connect_to(const std::string& socket_path,
                                                          std::chrono::milliseconds time);

/// `text` for a place in a path: letters, digits and "-._~/:" stay, all else becomes %XX. A part that is "." or ".."
/// is encoded too, so that it stays a name.
[[nodiscard]] std::string percent_encoded_path(std::string_view text);
/// `text` as a value in a query.
[[nodiscard]] std::string percent_encoded_value(std::string_view text);

}  // namespace brokerd
