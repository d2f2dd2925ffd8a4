#include "daemon/proxy/message_writer.h"

#include <fmt/format.h>
#include <boost/beast/http/status.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>

#include "common/json.h"
#include "common/protocol/docker_plugin_api.h"

namespace brokerd {
namespace {

/// Ours. A definition that leads to another's published socket, on another host too, is one station more; nobody needs
/// this many.
constexpr unsigned kMaxStations = 8;
/// What we are called in Via (RFC 9110 7.6.3: a gateway may hide its host's name behind a pseudonym).
constexpr std::string_view kStation = "brokerd";

std::string_view reason_phrase(unsigned status) {
    const auto text = boost::beast::http::obsolete_reason(boost::beast::http::int_to_status(status));
    return {text.data(), text.size()};
}

/// Writes one head straight into a queue's tail: one bounds check for all of it.
class HeadWriter {
public:
    HeadWriter(ByteQueue& out, std::size_t at_most) : out_{out}, tail_{out.tail(at_most)} {}
    ~HeadWriter() { out_.commit(size_); }
    HeadWriter(const HeadWriter&) = delete;
    HeadWriter& operator=(const HeadWriter&) = delete;

    void add(std::string_view bytes) noexcept {
        const std::size_t count = std::min(bytes.size(), tail_.size - size_);
        if (count > 0) std::memcpy(tail_.data + size_, bytes.data(), count);
        size_ += count;
    }
    /// Adds the field lines that `forwarded` picks as they came: neighbours in one piece.
    template <class Predicate>
    void add_fields(const HttpHead& head, const Predicate& forwarded) noexcept {
        std::string_view run;
        for (const HttpField& field : head.fields) {
            if (!forwarded(field)) continue;
            if (run.data() + run.size() == field.line.data()) {
                run = {run.data(), run.size() + field.line.size()};
            } else {
                add(run);
                run = field.line;
            }
        }
        add(run);
    }

private:
    ByteQueue& out_;
    const ByteQueue::Tail tail_;
    std::size_t size_ = 0;
};

}  // namespace

void write_request_head(ByteQueue& out, const HttpHead& request, const Target& target) {
    HeadWriter writer{out, request.bytes + kHeadSlack};
    writer.add(request.method);
    writer.add(" ");
    writer.add(request.target);
    writer.add(" HTTP/1.1\r\nHost: ");
    writer.add(target.host_header);
    writer.add("\r\n");
    bool has_via = false;
    writer.add_fields(request, [&](const HttpField& field) {
        if (field.kind == FieldKind::via) has_via = true;
        // HTTP/1.0's Expect has no meaning for the next hop.
        return field.kind == FieldKind::end_to_end || field.kind == FieldKind::content_length ||
               (field.kind == FieldKind::expect && request.expects_continue);
    });
    if (request.framing == BodyFraming::chunked) writer.add("Transfer-Encoding: chunked\r\n");
    // RFC 9110 7.6.3: a gateway says that it was there.
    writer.add("Via: ");
    for (const HttpField& field : request.fields) {
        if (!has_via) break;
        if (field.kind != FieldKind::via) continue;
        writer.add(field.value);
        writer.add(", ");
    }
    writer.add(request.http11 ? "1.1 " : "1.0 ");
    writer.add(kStation);
    writer.add("\r\n\r\n");
}

bool goes_in_a_circle(const HttpHead& request) {
    unsigned stations = 0;
    for (const HttpField& field : request.fields) {
        if (field.kind != FieldKind::via) continue;
        // Ours are "1.1 brokerd"; that a comment of somebody else may say the same does not matter.
        for (std::size_t at = 0; (at = field.value.find(kStation, at)) != std::string_view::npos; at += kStation.size())
            ++stations;
    }
    return stations >= kMaxStations;
}

void write_response_head(ByteQueue& out, const HttpHead& response, const AnswerFraming& framing) {
    HeadWriter writer{out, response.bytes + kHeadSlack};
    const auto digit = [](unsigned value) { return static_cast<char>('0' + value % 10); };
    const std::array<char, 4> status{digit(response.status / 100), digit(response.status / 10), digit(response.status),
                                     ' '};
    writer.add("HTTP/1.1 ");
    writer.add({status.data(), status.size()});
    writer.add(response.reason);
    writer.add("\r\n");
    const bool has_no_length =
        response.status < 200 || response.status == 204 || framing.new_length.has_value();  // RFC 9110 8.6
    writer.add_fields(response, [&](const HttpField& field) {
        return field.kind < FieldKind::hop_by_hop && !(has_no_length && field.kind == FieldKind::content_length);
    });
    if (framing.body == BodyFraming::chunked) writer.add("Transfer-Encoding: chunked\r\n");
    if (framing.new_length) writer.add(fmt::format("Content-Length: {}\r\n", *framing.new_length));
    if (response.status >= 200) {
        if (framing.close) {
            writer.add("Connection: close\r\n");
        } else if (!framing.client_http11) {
            writer.add("Connection: keep-alive\r\n");
        }
    }
    writer.add("\r\n");
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
