#include "common/client.h"

#include <fmt/format.h>

#include "common/control_exchange.h"
#include "common/json.h"
#include "common/protocol/control_api.h"
#include "common/secrets.h"

namespace brokerd {
namespace {

using namespace std::chrono_literals;

/// Ours: the control API answers from memory; who waits longer than this waits for a daemon that hangs.
constexpr std::chrono::milliseconds kAnswerTime = 15s;
/// DESIGN.md section 7: a call may wait 30 s for activation, then 120 s for the first byte; and some time for the rest.
constexpr std::chrono::milliseconds kCallTime = 180s;
/// Ours: an event is a few hundred bytes.
constexpr std::size_t kMaxEventBytes = 1u << 20;

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

}  // namespace

Result<std::string> control_socket_of(std::string_view host) {
    constexpr std::string_view kUnix = "unix://";
    if (host.substr(0, 6) == "tcp://") {
        return fail(
            fmt::format("cannot use {}: brokerd listens on a Unix socket only, for whoever reaches it can do what "
                        "root can, and TCP does not tell who that is; write ssh://[USER@]HOST",
                        shown_address(host)));
    }
    const std::string_view path = host.substr(0, kUnix.size()) == kUnix ? host.substr(kUnix.size()) : host;
    if (path.empty() || path.find("://") != std::string_view::npos) {
        return fail(fmt::format("\"{}\" is not a control socket; write unix:///PATH, /PATH or ssh://[USER@]HOST",
                                shown_address(host)));
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
    if (!parse_object(reply->body)) return fail(malformed(http_.host().str(), "not a JSON object"));
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
    if (!reply) return fail(to_client_error(reply.error(), http_.host().str()));
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
    if (!document) return fail(malformed(http_.host().str(), "not a JSON object"));
    return Version{std::move(*document), reply->server};
}

Result<int, ClientError> ControlClient::events(const EventQuery& query, const EventHandler& handler, int hangup_fd,
                                               int interrupt_fd) const {
    JsonLines lines{[&](const rapidjson::Document& event) { return handler(plugin_event_from_json(event)); }};
    const UnixHttp::Receiver receive = [&](std::string& body) { return lines(body); };
    const auto end = http_.stream({"GET", events_target(query), {}}, {kAnswerTime, kMaxEventBytes}, receive,
                                  {hangup_fd, interrupt_fd});
    if (!end) return fail(to_client_error(end.error(), host().str()));
    if (lines.saw_nonsense()) return fail(malformed(host().str(), "an event that is not a JSON object"));
    if (end->stopped_here) return 0;
    if (!end->reply.good()) return fail(refused(end->reply));
    return fail(to_client_error({TransportError::Kind::disconnected, "it ended the stream"}, host().str()));
}

}  // namespace brokerd
