#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace brokerd {

/// A request, as the routes see it.
struct ControlRequest {
    std::string method;
    std::string path;                          ///< still percent-encoded: %2F is no separator; starts with "/"
    std::map<std::string, std::string> query;  ///< decoded; of repeated parameters the first
    std::string content_type;
    std::vector<std::pair<std::string, std::string>> headers;  ///< as they came; header() looks one up
    std::string body;                                          ///< empty where the route reads it as a job
    bool streams_chunked = true;  ///< false for HTTP/1.0, whose streams end with the connection

    /// The value of the header called `name` in any case, of repeated ones the first; empty where there is none.
    [[nodiscard]] std::string_view header(std::string_view name) const noexcept;
};

/// A whole answer. Content-Length, Connection, Date and Server are added when it is sent. One with status 204 or 304
/// has no body.
struct ControlReply {
    unsigned status = 200;
    std::string content_type;
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers{};

    [[nodiscard]] bool has_body() const noexcept { return status != 204 && status != 304; }
    bool operator==(const ControlReply&) const = default;
};

/// What is sent before the body of `reply`.
[[nodiscard]] std::string head_bytes(const ControlReply& reply, bool keep_alive);

/// The head of an answer whose body is sent piece by piece: chunked, or until the connection ends.
[[nodiscard]] std::string stream_head(unsigned status, std::string_view content_type,
                                      const std::vector<std::pair<std::string, std::string>>& headers, bool chunked,
                                      bool keep_alive);

}  // namespace brokerd
