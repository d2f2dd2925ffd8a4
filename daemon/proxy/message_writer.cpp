#include "daemon/proxy/message_writer.h"

#include <fmt/format.h>
#include <boost/beast/http/status.hpp>

#include <algorithm>
#include <array>
#include <iterator>

#include "common/json.h"
#include "common/protocol/docker_plugin_api.h"

namespace brokerd {
namespace {

std::string_view reason_phrase(unsigned status) {
    const auto text = boost::beast::http::obsolete_reason(boost::beast::http::int_to_status(status));
    return {text.data(), text.size()};
}

bool is_named(std::string_view name, std::string_view other) {
    return boost::beast::iequals(boost::beast::string_view{name.data(), name.size()},
                                 boost::beast::string_view{other.data(), other.size()});
}

void write_field(ByteQueue& out, std::string_view name, std::string_view value) {
    out.append(name);
    out.append(": ");
    out.append(value);
    out.append("\r\n");
}

}  // namespace

void write_request_head(ByteQueue& out, const HttpHead& request, const Target& target) {
    out.append(request.method);
    out.append(" ");
    out.append(request.target);
    out.append(" HTTP/1.1\r\n");
    write_field(out, "Host", target.host_header);
    for (const HttpField& field : request.fields) {
        // Via is ours to extend below; HTTP/1.0's Expect has no meaning for the next hop.
        if (field.hop_by_hop || is_named(field.name, "Host") || is_named(field.name, "Via")) continue;
        if (!request.expects_continue && is_named(field.name, "Expect")) continue;
        write_field(out, field.name, field.value);
    }
    if (request.framing == BodyFraming::chunked) out.append("Transfer-Encoding: chunked\r\n");
    // RFC 9110 7.6.3: a gateway says that it was there.
    out.append("Via: ");
    for (const HttpField& field : request.fields) {
        if (!field.hop_by_hop && is_named(field.name, "Via")) {
            out.append(field.value);
            out.append(", ");
        }
    }
    out.append(request.http11 ? "1.1 brokerd\r\n\r\n" : "1.0 brokerd\r\n\r\n");
}

void write_response_head(ByteQueue& out, const HttpHead& response, const AnswerFraming& framing) {
    std::array<char, 32> line{};
    const auto end = fmt::format_to_n(line.data(), line.size(), "HTTP/1.1 {} ", response.status).out;
    out.append({line.data(), static_cast<std::size_t>(end - line.data())});
    out.append(response.reason);
    out.append("\r\n");
    const bool has_no_length = response.status < 200 || response.status == 204;  // RFC 9110 8.6
    for (const HttpField& field : response.fields) {
        if (field.hop_by_hop || (has_no_length && is_named(field.name, "Content-Length"))) continue;
        write_field(out, field.name, field.value);
    }
    if (framing.body == BodyFraming::chunked) out.append("Transfer-Encoding: chunked\r\n");
    if (response.status >= 200) {
        if (framing.close) {
            out.append("Connection: close\r\n");
        } else if (!framing.client_http11) {
            out.append("Connection: keep-alive\r\n");
        }
    }
    out.append("\r\n");
}

std::size_t write_body(ByteQueue& out, std::string_view piece, bool chunked) {
    const std::size_t room = out.room();
    if (room <= kChunkSlack) return 0;
    const std::size_t count = std::min(piece.size(), room - kChunkSlack);
    if (!chunked) return out.append(piece.substr(0, count));
    std::array<char, 20> size{};
    const auto end = fmt::format_to_n(size.data(), size.size(), "{:x}\r\n", count).out;
    out.append({size.data(), static_cast<std::size_t>(end - size.data())});
    out.append(piece.substr(0, count));
    out.append("\r\n");
    return count;
}

void write_last_chunk(ByteQueue& out) {
    out.append("0\r\n\r\n");
}

void write_local_answer(ByteQueue& out, const LocalAnswer& answer) {
    static constexpr std::size_t kMaxBody = std::size_t{8} << 10;
    const std::string_view body = std::string_view{answer.body}.substr(0, kMaxBody);
    fmt::memory_buffer head;
    fmt::format_to(std::back_inserter(head), "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n",
                   answer.status, reason_phrase(answer.status), docker_plugin_api::kMediaType, body.size());
    if (answer.close) {
        fmt::format_to(std::back_inserter(head), "Connection: close\r\n");
    } else if (!answer.client_http11) {
        fmt::format_to(std::back_inserter(head), "Connection: keep-alive\r\n");
    }
    fmt::format_to(std::back_inserter(head), "\r\n");
    out.append({head.data(), head.size()});
    if (!answer.head_only) out.append(body);
}

std::string error_body(std::string_view message) {
    static constexpr std::size_t kMaxMessage = 4096;
    rapidjson::StringBuffer buffer;
    JsonWriter writer{buffer};
    writer.StartObject();
    write_member(writer, "Err", message.substr(0, kMaxMessage));
    writer.EndObject();
    return buffer.GetString();
}

}  // namespace brokerd
