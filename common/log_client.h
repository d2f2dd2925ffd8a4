#pragma once

#include <rapidjson/document.h>

#include <functional>
#include <string>
#include <string_view>

#include "common/client_error.h"
#include "common/result.h"
#include "common/unix_http.h"

namespace brokerd {

/// Asks the daemon on its control socket for what managed plugins have written. Thread: any; read() waits.
class LogClient {
public:
    /// As the control API takes them (openapi.yaml); empty: not given.
    struct Query {
        bool follow = false;
        std::string tail;
        std::string since;
    };
    /// One line, as the daemon wrote it: Time, Stream, Message, Partial. Untrusted. Returns whether to go on.
    using Handler = std::function<bool(const rapidjson::Document& line)>;

    explicit LogClient(ControlHost host) noexcept : http_{std::move(host)} {}

    /// Hands on the plugin's lines until there are no more (for one who follows: the plugin was removed), `handler`
    /// wants no more, or `hangup_fd` (see UnixHttp::stream) is in error: then 0.
    [[nodiscard]] Result<int, ClientError> read(std::string_view plugin, const Query& query, const Handler& handler,
                                                int hangup_fd) const;

private:
    UnixHttp http_;
};

}  // namespace brokerd
