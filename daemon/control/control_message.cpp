#include "daemon/control/control_message.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <boost/beast/http/status.hpp>
#include <chrono>
#include <iterator>

namespace brokerd {
namespace {

std::string common_head(unsigned status) {
    const auto reason = boost::beast::http::obsolete_reason(static_cast<boost::beast::http::status>(status));
    // Server and Date: RFC 9110 10.2.4 and 6.6.1. HTTP/1.1 is also the answer to HTTP/1.0 (RFC 9110 6.2).
    return fmt::format("HTTP/1.1 {} {}\r\nServer: brokerd/{}\r\nDate: {:%a, %d %b %Y %H:%M:%S} GMT\r\n", status,
                       fmt::string_view{reason.data(), reason.size()}, BROKERD_VERSION,
                       fmt::gmtime(std::chrono::system_clock::now()));
}

}  // namespace

std::string to_bytes(const ControlReply& reply, bool to_head, bool keep_alive) {
    std::string bytes = common_head(reply.status);
    const auto out = std::back_inserter(bytes);
    for (const auto& [name, value] : reply.headers) fmt::format_to(out, "{}: {}\r\n", name, value);
    if (!reply.content_type.empty()) fmt::format_to(out, "Content-Type: {}\r\n", reply.content_type);
    fmt::format_to(out, "Content-Length: {}\r\nConnection: {}\r\n\r\n", reply.body.size(),
                   keep_alive ? "keep-alive" : "close");
    if (!to_head) bytes += reply.body;
    return bytes;
}

std::string stream_head(const std::string& content_type, bool chunked) {
    return fmt::format("{}Content-Type: {}\r\n{}\r\n\r\n", common_head(200), content_type,
                       chunked ? "Transfer-Encoding: chunked" : "Connection: close");
}

}  // namespace brokerd
