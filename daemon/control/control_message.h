#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace brokerd {

/// A whole request, as the routes see it.
struct ControlRequest {
    std::string method;
    std::string path;                          ///< still percent-encoded: %2F is no separator; starts with "/"
    std::map<std::string, std::string> query;  ///< decoded; of repeated parameters the first
    std::string content_type;
    std::string body;
    bool streams_chunked = true;  ///< false for HTTP/1.0, whose streams end with the connection
};

/// A whole answer. Content-Length, Connection, Date and Server are added when it is sent.
struct ControlReply {
    unsigned status = 200;
    std::string content_type;
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers{};
};

/// Bytes to send for `reply`; the body is left out where `to_head`.
[[nodiscard]] std::string to_bytes(const ControlReply& reply, bool to_head, bool keep_alive);

/// The head of an answer whose body is sent piece by piece and ends with the connection.
[[nodiscard]] std::string stream_head(const std::string& content_type, bool chunked);

}  // namespace brokerd
