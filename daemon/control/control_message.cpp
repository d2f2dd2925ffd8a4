#include "daemon/control/control_message.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <boost/beast/core/string.hpp>
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

std::string_view ControlRequest::header(std::string_view name) const noexcept {
    const auto found = std::find_if(headers.begin(), headers.end(), [name](const auto& header) {
        return boost::beast::iequals(boost::beast::string_view{header.first.data(), header.first.size()},
                                     boost::beast::string_view{name.data(), name.size()});
    });
    return found == headers.end() ? std::string_view{} : std::string_view{found->second};
}

std::string head_bytes(const ControlReply& reply, bool keep_alive) {
    std::string bytes = common_head(reply.status);
    const auto out = std::back_inserter(bytes);
    for (const auto& [name, value] : reply.headers) fmt::format_to(out, "{}: {}\r\n", name, value);
    // RFC 9110 8.6 and 15.3.5: no length, as there is no content.
    if (reply.has_body() && !reply.content_type.empty())
        fmt::format_to(out, "Content-Type: {}\r\n", reply.content_type);
    if (reply.has_body()) fmt::format_to(out, "Content-Length: {}\r\n", reply.body.size());
    fmt::format_to(out, "Connection: {}\r\n\r\n", keep_alive ? "keep-alive" : "close");
    return bytes;
}

std::string stream_head(unsigned status, std::string_view content_type,
                        const std::vector<std::pair<std::string, std::string>>& headers, bool chunked,
                        bool keep_alive) {
    std::string bytes = common_head(status);
    const auto out = std::back_inserter(bytes);
    for (const auto& [name, value] : headers) fmt::format_to(out, "{}: {}\r\n", name, value);
    fmt::format_to(out, "Content-Type: {}\r\n", content_type);
    if (chunked) bytes += "Transfer-Encoding: chunked\r\n";
    if (!chunked || !keep_alive) bytes += "Connection: close\r\n";
    bytes += "\r\n";
    return bytes;
}

}  // namespace brokerd
