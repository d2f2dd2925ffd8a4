#include "common/client.h"

#include <fmt/format.h>

#include <optional>

#include "common/json.h"
#include "common/protocol/control_api.h"

namespace brokerd {
namespace {

using namespace std::chrono_literals;
using Kind = ClientError::Kind;

/// Ours: the control API answers from memory; who waits longer than this waits for a daemon that hangs.
constexpr std::chrono::milliseconds kAnswerTime = 15s;
/// DESIGN.md section 7: a call may wait 30 s for activation, then 120 s for the first byte; and some time for the rest.
constexpr std::chrono::milliseconds kCallTime = 180s;
/// Ours: 10 000 plugins with long reasons are about 10 MiB, and a plugin's answer may have 16 MiB (openapi.yaml).
constexpr std::size_t kMaxAnswerBytes = 32u << 20;
/// Ours: an event is a few hundred bytes.
constexpr std::size_t kMaxEventBytes = 1u << 20;
/// Ours: the API's own answers are four levels deep. RapidJSON writes and copies values by recursion.
constexpr std::size_t kMaxDepth = 100;

std::string reason_of(const TransportError& error) {
    return error.detail.empty() ? std::string{} : ": " + error.detail;
}

ClientError to_client_error(const TransportError& error, const std::string& socket) {
    using Transport = TransportError::Kind;
    const std::string unreachable = fmt::format("cannot reach brokerd at {}{}", socket, reason_of(error));
    const std::string bad_answer = fmt::format("brokerd at {} gave no valid answer{}", socket, reason_of(error));
    switch (error.kind) {
        case Transport::no_socket:
        case Transport::refused:
            return {Kind::no_daemon, 0, unreachable + "; is brokerd running? Try: systemctl start brokerd"};
        case Transport::permission_denied:
            return {Kind::no_daemon, 0, unreachable + "; join the group brokerd, or use sudo"};
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
    }
    std::abort();  // no default: the compiler counts the cases
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

std::optional<rapidjson::Document> parse_object(std::string_view text) {
    if (!is_shallow(text)) return std::nullopt;
    auto document = parse_json(text);
    if (!document || !document->IsObject()) return std::nullopt;
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

ClientError malformed(const std::string& socket, std::string_view what) {
    return to_client_error({TransportError::Kind::malformed, std::string{what}}, socket);
}

/// The answer to a request of the control API, where it is a 200.
Result<HttpReply, ClientError> ask(const UnixHttp& http, const HttpRequest& request, std::chrono::milliseconds time) {
    auto reply = http.exchange(request, {time, kMaxAnswerBytes});
    if (!reply) return fail(to_client_error(reply.error(), http.socket_path()));
    if (reply->status != 200) return fail(ClientError{Kind::answered, reply->status, refusal(*reply)});
    return std::move(*reply);
}

/// The same, parsed: always a JSON object.
Result<rapidjson::Document, ClientError> ask_json(const UnixHttp& http, const HttpRequest& request,
                                                  std::chrono::milliseconds time) {
    const auto reply = ask(http, request, time);
    if (!reply) return fail(reply.error());
    auto document = parse_object(reply->body);
    if (!document) return fail(malformed(http.socket_path(), "not a JSON object"));
    return std::move(*document);
}

/// Reads each item of the array `key`.
template <class T>
std::vector<T> items(const rapidjson::Document& document, const char* key, T (*read)(const rapidjson::Value&)) {
    std::vector<T> out;
    const auto member = document.FindMember(key);
    if (member == document.MemberEnd() || !member->value.IsArray()) return out;
    out.reserve(member->value.Size());
    for (const auto& item : member->value.GetArray()) {
        if (item.IsObject()) out.push_back(read(item));
    }
    return out;
}

std::string plugin_path(std::string_view name, std::string_view rest) {
    return fmt::format("{}/{}{}", control_api::kPlugins, percent_encoded_path(name), rest);
}

std::string events_target(const ControlClient::EventQuery& query) {
    std::string target{control_api::kEvents};
    char separator = '?';
    const auto add = [&](std::string_view key, const std::string& value) {
        if (value.empty()) return;
        target += fmt::format("{}{}={}", std::exchange(separator, '&'), key, percent_encoded_value(value));
    };
    add("capability", query.capability);
    add("replay", query.replay);
    return target;
}

/// Cuts a stream of bytes into lines and hands on the event in each; blank lines only keep the connection alive.
class EventReader {
public:
    explicit EventReader(const ControlClient::EventHandler& handler) noexcept : handler_{handler} {}

    bool operator()(std::string& body) {
        std::size_t start = 0;
        bool more = true;
        for (std::size_t end = body.find('\n', searched_); more && end != std::string::npos;
             end = body.find('\n', start)) {
            more = take(std::string_view{body}.substr(start, end - start));
            start = end + 1;
        }
        body.erase(0, start);
        searched_ = body.size();
        return more;
    }

    [[nodiscard]] bool saw_nonsense() const noexcept { return nonsense_; }

private:
    bool take(std::string_view line) {
        if (line.find_first_not_of(" \r") == std::string_view::npos) return true;
        const auto document = parse_object(line);
        nonsense_ = !document;
        return document && handler_(plugin_event_from_json(*document));
    }

    const ControlClient::EventHandler& handler_;
    std::size_t searched_ = 0;  ///< so much of the body has no line end
    bool nonsense_ = false;
};

}  // namespace

Result<std::string> control_socket_of(std::string_view host) {
    constexpr std::string_view kUnix = "unix://";
    if (host.substr(0, 6) == "ssh://") {
        return fail(fmt::format("cannot use {}: ssh:// is not supported yet; run pluginctl on that host", host));
    }
    const std::string_view path = host.substr(0, kUnix.size()) == kUnix ? host.substr(kUnix.size()) : host;
    if (path.empty() || path.find("://") != std::string_view::npos) {
        return fail(fmt::format("\"{}\" is not a control socket; write unix:///PATH or /PATH", host));
    }
    return std::string{path};
}

Result<std::vector<PluginView>, ClientError> ControlClient::plugins() const {
    const auto document = ask_json(http_, {"GET", std::string{control_api::kPlugins}, {}}, kAnswerTime);
    if (!document) return fail(document.error());
    return items(*document, "Plugins", plugin_view_from_json);
}

Result<std::string, ClientError> ControlClient::inspect(std::string_view name) const {
    auto reply = ask(http_, {"GET", plugin_path(name, "/json"), {}}, kAnswerTime);
    if (!reply) return fail(reply.error());
    if (!parse_object(reply->body)) return fail(malformed(http_.socket_path(), "not a JSON object"));
    return std::move(reply->body);
}

Result<PluginView, ClientError> ControlClient::activate(std::string_view name, std::chrono::seconds timeout) const {
    const std::string target = plugin_path(name, fmt::format("/activate?timeout={}", timeout.count()));
    const auto document = ask_json(http_, {"POST", target, {}}, timeout + kAnswerTime);
    if (!document) return fail(document.error());
    return plugin_view_from_json(*document);
}

Result<ControlClient::CallReply, ClientError> ControlClient::call(std::string_view name, std::string_view method,
                                                                  std::string_view body) const {
    const std::string target = plugin_path(name, "/rpc/" + percent_encoded_value(method));
    auto reply = http_.exchange({"POST", target, body}, {kCallTime, kMaxAnswerBytes});
    if (!reply) return fail(to_client_error(reply.error(), http_.socket_path()));
    return CallReply{reply->status, std::move(reply->body)};
}

Result<std::vector<Finding>, ClientError> ControlClient::doctor() const {
    const auto document = ask_json(http_, {"GET", std::string{control_api::kDoctor}, {}}, kAnswerTime);
    if (!document) return fail(document.error());
    return items(*document, "Findings", finding_from_json);
}

Result<std::vector<PluginStats>, ClientError> ControlClient::stats() const {
    const auto document = ask_json(http_, {"GET", std::string{control_api::kStats}, {}}, kAnswerTime);
    if (!document) return fail(document.error());
    return items(*document, "Plugins", plugin_stats_from_json);
}

Result<ControlClient::Version, ClientError> ControlClient::version() const {
    const auto reply = ask(http_, {"GET", std::string{control_api::kVersion}, {}}, kAnswerTime);
    if (!reply) return fail(reply.error());
    auto document = parse_object(reply->body);
    if (!document) return fail(malformed(http_.socket_path(), "not a JSON object"));
    return Version{std::move(*document), reply->server};
}

Result<int, ClientError> ControlClient::events(const EventQuery& query, const EventHandler& handler,
                                               int hangup_fd) const {
    EventReader reader{handler};
    const UnixHttp::Receiver receive = [&](std::string& body) { return reader(body); };
    const auto end = http_.stream({"GET", events_target(query), {}}, {kAnswerTime, kMaxEventBytes}, receive, hangup_fd);
    if (!end) return fail(to_client_error(end.error(), socket_path()));
    if (reader.saw_nonsense()) return fail(malformed(socket_path(), "an event that is not a JSON object"));
    if (end->stopped_here) return 0;
    if (end->reply.status != 200) return fail(ClientError{Kind::answered, end->reply.status, refusal(end->reply)});
    return fail(to_client_error({TransportError::Kind::disconnected, "it ended the stream"}, socket_path()));
}

}  // namespace brokerd
