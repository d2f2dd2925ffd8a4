#include "daemon/control/error_reply.h"

#include <fmt/format.h>

#include "common/json.h"
#include "common/plugin_name.h"
#include "common/protocol/control_api.h"

namespace brokerd::error_reply {
namespace {

ControlReply reply(unsigned status, std::string_view message) {
    rapidjson::StringBuffer buffer;
    JsonWriter writer{buffer};
    writer.StartObject();
    write_member(writer, "message", message);
    writer.EndObject();
    return {status, std::string{control_api::kJson}, {buffer.GetString(), buffer.GetSize()}, {}};
}

std::string list(const std::vector<std::string>& words) {
    return words.empty() ? "nothing" : fmt::format("{}", fmt::join(words, ", "));
}

}  // namespace

ControlReply malformed_request(std::string_view why) {
    return reply(400, fmt::format("the request is not valid HTTP: {}", escaped(why)));
}

ControlReply incomplete_request() {
    return reply(400, "the connection ended in the middle of a request");
}

ControlReply head_too_large(std::size_t limit) {
    return reply(431, fmt::format("the head of the request is larger than {} bytes", limit));
}

ControlReply body_too_large(std::size_t limit) {
    return reply(413, fmt::format("the body of the request is larger than {} bytes", limit));
}

ControlReply request_too_slow() {
    return reply(408, "the request did not arrive in time; send it again in one piece");
}

ControlReply peer_not_allowed(std::string_view who, std::string_view group) {
    const std::string remedy = group.empty() ? std::string{"only root may use this socket"}
                                             : fmt::format("become root or a member of the group {}", group);
    return reply(403, fmt::format("{} may not control brokerd: {}", who, remedy));
}

ControlReply bad_parameter(std::string_view parameter, std::string_view value, std::string_view expected) {
    return reply(400, fmt::format("{}=\"{}\" is not understood: write {}", parameter, escaped(value, 80), expected));
}

ControlReply end_before_start(std::string_view since, std::string_view until) {
    return reply(400, fmt::format("`since` time ({}) cannot be after `until` time ({})", escaped(since, 80),
                                  escaped(until, 80)));
}

ControlReply bad_plugin_name(std::string_view why) {
    return reply(400, why);
}

ControlReply bad_method_name(std::string_view method) {
    return reply(400, fmt::format("\"{}\" is no plugin method: write Capability.Method, for example VolumeDriver.List, "
                                  "or Plugin.Activate",
                                  escaped(method, 80)));
}

ControlReply page_not_found() {
    return reply(404, "page not found");
}

ControlReply not_an_engine(std::string_view method, std::string_view path) {
    return reply(501, fmt::format("brokerd serves plugins only, and {} {} is a Docker engine's: unset DOCKER_HOST, or "
                                  "set it to the engine's socket (usually unix:///var/run/docker.sock)",
                                  escaped(method, 20), escaped(path, 80)));
}

ControlReply no_such_route(std::string_view method, std::string_view path) {
    return reply(404,
                 fmt::format("there is no {} {} in this version of brokerd's API", escaped(method, 20), escaped(path)));
}

ControlReply method_not_allowed(std::string_view method, std::string_view path, std::string_view allowed) {
    ControlReply answer =
        reply(405, fmt::format("{} is not possible on {}: use {}", escaped(method, 20), escaped(path), allowed));
    answer.headers.emplace_back("Allow", allowed);
    return answer;
}

ControlReply plugin_not_found(std::string_view name) {
    return reply(404, fmt::format("there is no plugin {}: no file in the plugin directories defines it; "
                                  "\"pluginctl ls\" shows those that exist",
                                  escaped(name)));
}

ControlReply lacks_capability(const PluginView& plugin, std::string_view capability) {
    return reply(409, fmt::format("plugin {} does not implement {}, it implements {}", plugin.name,
                                  escaped(capability, 80), list(plugin.implements)));
}

ControlReply plugin_not_active(const PluginView& plugin) {
    return reply(503, fmt::format("plugin {} is not active but {}{}{}; \"pluginctl doctor\" tells what to do",
                                  plugin.name, plugin.state, plugin.reason.empty() ? "" : ": ", plugin.reason));
}

ControlReply plugin_not_published(const PluginView& plugin) {
    return reply(503, fmt::format("plugin {} has no published socket to call it through: it is {}{}{}; "
                                  "\"pluginctl doctor\" tells what to do",
                                  plugin.name, plugin.state, plugin.reason.empty() ? "" : ": ", plugin.reason));
}

ControlReply call_failed(std::string_view plugin, std::string_view method, std::string_view why) {
    return reply(502, fmt::format("calling {} of plugin {} failed: {}; \"pluginctl inspect {}\" shows its state",
                                  method, plugin, escaped(why), plugin));
}

ControlReply incomplete_body(const Error& problem) {
    return reply(400, problem.message);
}

ControlReply api_too_old(std::string_view version, std::string_view oldest) {
    return reply(400, fmt::format("client version {} is too old. Minimum supported API version is {}, please upgrade "
                                  "your client to a newer version",
                                  escaped(version, 20), oldest));
}

ControlReply api_too_new(std::string_view version, std::string_view newest) {
    return reply(400, fmt::format("client version {} is too new. Maximum supported API version is {}",
                                  escaped(version, 20), newest));
}

ControlReply too_many_jobs(std::size_t limit) {
    return reply(503, fmt::format("{} long calls (transfers, installations, starts of plugins) are running already, "
                                  "which is the limit: try again when one of them has ended",
                                  limit));
}

ControlReply operation_failed(const OperationError& error) {
    using Kind = OperationError::Kind;
    switch (error.kind) {
        case Kind::invalid:
            return reply(400, error.message);
        case Kind::unauthorized:
            return reply(401, error.message);
        case Kind::denied:
            return reply(403, error.message);
        case Kind::not_found:
            return reply(404, error.message);
        case Kind::conflict:
            return reply(409, error.message);
        case Kind::unreachable:
            return reply(502, error.message);
        case Kind::storage:
        case Kind::failed:
        case Kind::cancelled:
            return reply(500, error.message);
    }
    std::abort();
}

ControlReply plugin_disabled(const PluginView& plugin) {
    return reply(409, fmt::format("plugin {} is disabled, so nobody can claim to use it: enable it first with "
                                  "\"pluginctl enable {}\"",
                                  plugin.name, plugin.name));
}

ControlReply logs_kept_elsewhere(std::string_view plugin) {
    return reply(409,
                 fmt::format("plugin {} is not run by brokerd, which so has no logs of it: look where whoever starts "
                             "it keeps them",
                             escaped(plugin)));
}

ControlReply too_many_log_followers(std::size_t limit) {
    return reply(503,
                 fmt::format("{} connections follow logs already, which is the limit: close one and try again", limit));
}

ControlReply too_many_leases(const Error& problem) {
    return reply(503, problem.message);
}

ControlReply too_many_watchers(std::size_t limit) {
    return reply(503, fmt::format("{} connections watch events or hold leases already, which is the limit: close one "
                                  "and try again",
                                  limit));
}

ControlReply too_much_unread(std::size_t limit) {
    return reply(
        503, fmt::format("answers that clients have not read take {} MiB, which is the limit: try again", limit >> 20));
}

ControlReply too_many_jobs_of_user(uid_t user, std::size_t count, std::size_t limit) {
    return reply(503,
                 fmt::format("user {} has {} long calls (transfers, installations, starts of plugins) running, which "
                             "is its share of {}: try again when one of them has ended",
                             user, count, limit));
}

ControlReply too_many_watchers_of_user(uid_t user, std::size_t count, std::size_t limit) {
    return reply(503,
                 fmt::format("user {} has {} connections that watch events or hold leases, which is its share of {}: "
                             "close one and try again",
                             user, count, limit));
}

ControlReply no_answer_in_time(std::chrono::milliseconds waited) {
    return reply(
        503, fmt::format("brokerd's core gave no answer within {} ms: try again, and look into brokerd's log if this "
                         "repeats",
                         waited.count()));
}

ControlReply internal_error(std::string_view why) {
    return reply(500, fmt::format("brokerd failed unexpectedly: {}; its log has the details", escaped(why)));
}

}  // namespace brokerd::error_reply
