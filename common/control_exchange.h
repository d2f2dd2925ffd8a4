#pragma once

#include <rapidjson/document.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "common/client_error.h"
#include "common/result.h"
#include "common/unix_http.h"

/// What ControlClient and ManagedClient share: requests of the control API, and answers that nobody trusts.
namespace brokerd {

/// Ours: 10 000 plugins with long reasons are about 10 MiB, and a plugin's answer may have 16 MiB (openapi.yaml).
inline constexpr std::size_t kMaxAnswerBytes = 32u << 20;

/// The words for a person on what kept the answer of the daemon at `socket` from coming.
[[nodiscard]] ClientError to_client_error(const TransportError& error, const std::string& socket);
/// An answer that is not the API's.
[[nodiscard]] ClientError malformed(const std::string& socket, std::string_view what);
/// What the daemon says in an answer that is no 2xx.
[[nodiscard]] ClientError refused(const HttpReply& reply);

/// A JSON object of harmless depth, or nothing.
[[nodiscard]] std::optional<rapidjson::Document> parse_object(std::string_view text);
/// The same for an array.
[[nodiscard]] std::optional<rapidjson::Document> parse_array(std::string_view text);

/// The answer to a request, where it is a 2xx. `time` as in UnixHttp::Limits.
[[nodiscard]] Result<HttpReply, ClientError> ask(const UnixHttp& http, const HttpRequest& request,
                                                 std::chrono::milliseconds time, UnixHttp::Wires wires = {-1, -1});
/// The same, parsed: always a JSON object.
[[nodiscard]] Result<rapidjson::Document, ClientError> ask_json(const UnixHttp& http, const HttpRequest& request,
                                                                std::chrono::milliseconds time,
                                                                UnixHttp::Wires wires = {-1, -1});

/// Cuts a stream of bytes into lines and hands on the JSON object in each; blank lines only keep the connection alive.
/// A UnixHttp::Receiver that may be asked afterwards.
class JsonLines {
public:
    /// Returns whether to go on.
    using Handler = std::function<bool(const rapidjson::Document&)>;

    explicit JsonLines(Handler handler) : handler_{std::move(handler)} {}

    bool operator()(std::string& body);

    /// Whether a line was no JSON object, which ended the stream.
    [[nodiscard]] bool saw_nonsense() const noexcept { return nonsense_; }

private:
    bool take(std::string_view line);

    Handler handler_;
    std::size_t searched_ = 0;  ///< so much of the body has no line end
    bool nonsense_ = false;
};

}  // namespace brokerd
