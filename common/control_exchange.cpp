#include "common/control_exchange.h"

#include <fmt/format.h>

#include "common/json.h"

namespace brokerd {
namespace {

using Kind = ClientError::Kind;

/// Ours: the API's own answers are four levels deep. RapidJSON writes and copies values by recursion.
constexpr std::size_t kMaxDepth = 100;

std::string reason_of(const TransportError& error) {
    return error.detail.empty() ? std::string{} : ": " + error.detail;
}

/// Whether objects and arrays are nested at most kMaxDepth deep, without parsing: a first look at untrusted JSON.
bool is_shallow(std::string_view text) {
    std::size_t depth = 0;
    bool in_string = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string) {
            if (c == '\\') ++i;
            if (c == '"') in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > kMaxDepth) return false;
        } else if ((c == '}' || c == ']') && depth > 0) {
            --depth;
        }
    }
    return true;
}

std::optional<rapidjson::Document> parse_shallow(std::string_view text) {
    if (!is_shallow(text)) return std::nullopt;
    auto document = parse_json(text);
    if (!document) return std::nullopt;
    return std::move(*document);
}

/// What the daemon says about a refusal: {"message": …}, or its status alone.
std::string refusal(const HttpReply& reply) {
    if (const auto document = parse_object(reply.body)) {
        for (const char* member : {"message", "Err"}) {
            if (std::string text = string_member(*document, member); !text.empty()) return text;
        }
    }
    return fmt::format("brokerd answered with status {}", reply.status);
}

/// dockerd's answer, to the letter, where it has no such path at all; it does not even say who it is then.
bool is_engine_without_path(const HttpReply& reply) {
    constexpr int kNotFound = 404;
    return reply.status == kNotFound && reply.server.substr(0, 8) != "brokerd/" && refusal(reply) == "page not found";
}

}  // namespace

ClientError to_client_error(const TransportError& error, const std::string& socket) {
    using Transport = TransportError::Kind;
    const std::string unreachable = fmt::format("cannot reach brokerd at {}{}", socket, reason_of(error));
    const std::string bad_answer = fmt::format("brokerd at {} gave no valid answer{}", socket, reason_of(error));
    switch (error.kind) {
        case Transport::no_socket:
        case Transport::refused:
            return {
                Kind::no_daemon, 0,
                unreachable + "; is it running? See: systemctl status brokerd; start it with: systemctl start brokerd"};
        case Transport::permission_denied:
            return {Kind::no_daemon, 0,
                    unreachable +
                        "; use sudo, or let root add you to the group: usermod -aG brokerd YOU, and log in again"};
        case Transport::cannot_connect:
            return {Kind::no_daemon, 0, unreachable + "; check -H and BROKERD_HOST"};
        case Transport::disconnected:
            return {Kind::no_daemon, 0,
                    fmt::format("lost brokerd at {} before its answer was complete{}; see: journalctl -u brokerd",
                                socket, reason_of(error))};
        case Transport::timed_out:
            return {
                Kind::no_answer, 0,
                fmt::format("brokerd at {} does not answer{}; see: journalctl -u brokerd", socket, reason_of(error))};
        case Transport::malformed:
            return {Kind::no_answer, 0, bad_answer + "; is that socket brokerd's?"};
        case Transport::too_large:
            return {Kind::no_answer, 0, bad_answer + "; is that socket brokerd's?"};
        case Transport::body_failed:
            return {Kind::not_sent, 0, error.detail};
        case Transport::tunnel_failed:
            return {Kind::no_daemon, 0, fmt::format("no connection to brokerd at {}{}", socket, reason_of(error))};
        case Transport::interrupted:
            return {Kind::interrupted, 0, "interrupted"};
    }
    std::abort();  // no default: the compiler counts the cases
}

ClientError refused(const HttpReply& reply) {
    if (is_engine_without_path(reply)) {
        return {Kind::other_daemon, reply.status,
                "a Docker engine answers there, which cannot do this: that is not brokerd's socket; check -H and "
                "BROKERD_HOST"};
    }
    return {Kind::answered, reply.status, refusal(reply)};
}

std::optional<rapidjson::Document> parse_object(std::string_view text) {
    auto document = parse_shallow(text);
    return document && document->IsObject() ? std::move(document) : std::nullopt;
}

std::optional<rapidjson::Document> parse_array(std::string_view text) {
    auto document = parse_shallow(text);
    return document && document->IsArray() ? std::move(document) : std::nullopt;
}

ClientError malformed(const std::string& socket, std::string_view what) {
    return to_client_error({TransportError::Kind::malformed, std::string{what}}, socket);
}

Result<HttpReply, ClientError> ask(const UnixHttp& http, const HttpRequest& request, std::chrono::milliseconds time,
                                   UnixHttp::Wires wires) {
    auto reply = http.exchange(request, {time, kMaxAnswerBytes}, wires);
    if (!reply) return fail(to_client_error(reply.error(), http.host().str()));
    if (!reply->good()) return fail(refused(*reply));
    return std::move(*reply);
}

Result<rapidjson::Document, ClientError> ask_json(const UnixHttp& http, const HttpRequest& request,
                                                  std::chrono::milliseconds time, UnixHttp::Wires wires) {
    const auto reply = ask(http, request, time, wires);
    if (!reply) return fail(reply.error());
    auto document = parse_object(reply->body);
    if (!document) return fail(malformed(http.host().str(), "not a JSON object"));
    return std::move(*document);
}

bool JsonLines::operator()(std::string& body) {
    std::size_t start = 0;
    bool more = true;
    for (std::size_t end = body.find('\n', searched_); more && end != std::string::npos; end = body.find('\n', start)) {
        more = take(std::string_view{body}.substr(start, end - start));
        start = end + 1;
    }
    body.erase(0, start);
    searched_ = body.size();
    return more;
}

bool JsonLines::take(std::string_view line) {
    if (line.find_first_not_of(" \r") == std::string_view::npos) return true;
    const auto document = parse_object(line);
    nonsense_ = !document;
    return document && handler_(*document);
}

}  // namespace brokerd
