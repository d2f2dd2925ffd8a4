#include "daemon/control/routes.h"

#include <algorithm>
#include <array>

#include "daemon/control/api_version.h"
#include "daemon/control/error_reply.h"
#include "daemon/control/handlers.h"
#include "daemon/control/request_target.h"

namespace brokerd {
namespace {

enum class Body {
    collected,  ///< up to RequestParser::kMaxBodyBytes; the handler is called when it is whole
    streamed,   ///< of any size; the handler is called before it, and starts a job that reads it
};

enum class Needs { nothing, state };  ///< whether it is about what the state root keeps

struct Route {
    std::string_view method;
    std::string_view path;
    void (*handle)(const ControlRooms&, const RoutedRequest&, const Exchange&);
    Needs needs = Needs::nothing;
    Body body = Body::collected;
};

/// The whole control API; openapi.yaml describes it. What is not below /broker is Docker's, and may also be called with
/// an API version before it. The first route that fits counts: where a plugin's name ends in
/// "/json", a client writes the slashes of names as %2F.
constexpr std::array kRoutes{
    Route{"GET", "/broker/v1/plugins", list_plugins},
    Route{"GET", "/broker/v1/plugins/{name}/json", inspect_plugin},
    Route{"GET", "/broker/v1/plugins/{name}/privileges", show_granted_privileges, Needs::state},
    Route{"GET", "/broker/v1/plugins/{name}/save", save_managed_plugin, Needs::state},
    Route{"GET", "/broker/v1/plugins/{name}/logs", show_plugin_logs, Needs::state},
    Route{"GET", "/broker/v1/plugins/{name}", look_up_plugin},
    Route{"POST", "/broker/v1/plugins/{name}/activate", activate_plugin},
    Route{"POST", "/broker/v1/plugins/{name}/limits", set_plugin_limits, Needs::state},
    Route{"POST", "/broker/v1/plugins/{name}/rpc/{method}", call_plugin},
    Route{"POST", "/broker/v1/plugins/{name}/lease", lease_plugin},
    Route{"POST", "/broker/v1/plugins/load", load_plugin, Needs::state, Body::streamed},
    Route{"POST", "/broker/v1/plugins/install", install_loaded_plugin, Needs::state},
    Route{"POST", "/broker/v1/plugins/import", import_docker_plugins, Needs::state},
    Route{"GET", "/broker/v1/privileges", show_remote_access, Needs::state},
    Route{"POST", "/broker/v1/prune", prune_blobs, Needs::state},
    Route{"GET", "/broker/v1/events", watch_events},
    Route{"GET", "/broker/v1/doctor", examine},
    Route{"GET", "/broker/v1/metrics", show_metrics},
    Route{"GET", "/broker/v1/stats", show_stats},
    Route{"GET", "/broker/v1/healthz", check_health},
    Route{"GET", "/_ping", ping},
    Route{"HEAD", "/_ping", ping},
    Route{"GET", "/version", show_version},
    Route{"GET", "/info", show_info},
    Route{"GET", "/events", watch_docker_events},
    Route{"GET", "/plugins", list_managed_plugins, Needs::state},
    Route{"GET", "/plugins/privileges", show_remote_privileges, Needs::state},
    Route{"POST", "/plugins/pull", pull_plugin, Needs::state},
    Route{"POST", "/plugins/create", create_managed_plugin, Needs::state, Body::streamed},
    Route{"GET", "/plugins/{name}/json", inspect_managed_plugin, Needs::state},
    Route{"POST", "/plugins/{name}/set", set_managed_plugin, Needs::state},
    Route{"POST", "/plugins/{name}/upgrade", upgrade_plugin, Needs::state},
    Route{"POST", "/plugins/{name}/push", push_managed_plugin, Needs::state},
    Route{"POST", "/plugins/{name}/pull", push_managed_plugin, Needs::state},  // as Docker's SDK for Python calls it
    Route{"POST", "/plugins/{name}/enable", enable_managed_plugin, Needs::state},
    Route{"POST", "/plugins/{name}/disable", disable_managed_plugin, Needs::state},
    Route{"DELETE", "/plugins/{name}", remove_managed_plugin, Needs::state},
};

/// The first parts of those paths of Docker's API that are an engine's alone, up to version 1.50.
constexpr std::array<std::string_view, 18> kEngineOnly{
    "auth",     "build", "commit",  "configs",  "containers", "distribution", "exec",   "grpc",  "images",
    "networks", "nodes", "secrets", "services", "session",    "swarm",        "system", "tasks", "volumes"};

bool is_engine_only(std::string_view path) {
    path.remove_prefix(1);
    return std::find(kEngineOnly.begin(), kEngineOnly.end(), path.substr(0, path.find('/'))) != kEngineOnly.end();
}

struct Found {
    const Route* route = nullptr;
    PathVariables variables;  ///< still percent-encoded
};

/// Precondition: `path` has no version before it.
Found find_route(std::string_view method, std::string_view path) {
    for (const Route& route : kRoutes) {
        if (route.method != method) continue;
        if (auto variables = match_path(route.path, path)) return {&route, std::move(*variables)};
    }
    return {};
}

bool is_compressed(const ControlRequest& request) {
    return !request.header("Content-Encoding").empty();
}

bool is_docker_path(std::string_view path) {
    return !path.starts_with("/broker/");
}

ControlReply refusal(const ControlRequest& request, std::string_view path) {
    if (is_engine_only(path)) return error_reply::not_an_engine(request.method, path);
    if (is_docker_path(path)) return error_reply::page_not_found();  // as Docker, also where only the method is wrong
    std::string allowed;
    for (const Route& route : kRoutes) {
        if (!match_path(route.path, path)) continue;
        if (!allowed.empty()) allowed += ", ";
        allowed += route.method;
    }
    return allowed.empty() ? error_reply::no_such_route(request.method, request.path)
                           : error_reply::method_not_allowed(request.method, request.path, allowed);
}

}  // namespace

std::optional<std::string> RoutedRequest::parameter(const std::string& name) const {
    const auto found = request.query.find(name);
    return found == request.query.end() ? std::nullopt : std::optional{found->second};
}

std::optional<PathVariables> match_path(std::string_view pattern, std::string_view path) {
    const std::size_t open = pattern.find('{');
    if (open == pattern.npos) {
        if (pattern != path) return std::nullopt;
        return PathVariables{};
    }
    if (!path.starts_with(pattern.substr(0, open))) return std::nullopt;
    path.remove_prefix(open);
    const std::size_t close = pattern.find('}', open);
    const std::string_view variable = pattern.substr(open + 1, close - open - 1);
    const std::string_view rest = pattern.substr(close + 1);
    const auto match_with = [&](std::string_view value) {
        auto others = match_path(rest, path.substr(value.size()));
        if (others) others->emplace(variable, value);
        return others;
    };
    const std::string_view segment = path.substr(0, path.find('/'));
    if (variable != "name") return segment.empty() ? std::nullopt : match_with(segment);
    // The longest value first: the last "/rpc/" of a path is the route's.
    for (std::size_t length = path.size(); length > 0; --length) {
        if (length < path.size() && path[length] != '/') continue;
        if (auto matched = match_with(path.substr(0, length))) return matched;
    }
    return std::nullopt;
}

void handle_request(const ControlRooms& rooms, const ControlRequest& request, const Exchange& exchange) {
    const auto [version, path] = api_version::split(request.path);
    if (!version.empty()) {
        if (!is_docker_path(path)) return exchange.reply(error_reply::no_such_route(request.method, request.path));
        if (auto refused = api_version::refusal(version)) return exchange.reply(std::move(*refused));
    }
    Found found = find_route(request.method, path);
    if (found.route == nullptr) return exchange.reply(refusal(request, path));
    if (is_compressed(request)) {
        return exchange.reply(error_reply::malformed_request("compressed bodies are not understood"));
    }
    for (auto& [name, value] : found.variables) value = percent_decoded(value).value_or(value);
    if (!version.empty()) found.variables.emplace("api", version);
    if (found.route->needs == Needs::state && !rooms.operations.unavailable.empty())
        return exchange.reply(
            error_reply::operation_failed({OperationError::Kind::storage, rooms.operations.unavailable}));
    found.route->handle(rooms, RoutedRequest{request, std::move(found.variables)}, exchange);
}

bool streams_body(const ControlRequest& head) {
    const std::string_view path = api_version::split(head.path).path;
    // Nobody reads what a client sends an engine: it is told so at once, be that a build context of any size.
    if (is_engine_only(path) || is_compressed(head)) return true;
    const Found found = find_route(head.method, path);
    return found.route != nullptr && found.route->body == Body::streamed;
}

}  // namespace brokerd
