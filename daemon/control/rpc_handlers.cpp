#include <chrono>

#include "common/capability.h"
#include "common/plugin_name.h"
#include "daemon/control/handlers.h"
#include "daemon/control/plugin_call.h"

namespace brokerd {
namespace {

/// More than the proxy's own deadline for a method (120 s) and the wait for activation (30 s): it answers first.
constexpr std::chrono::milliseconds kCallBudget{150'000};
/// For the core to find the plugin, and for a worker thread to be free.
constexpr std::chrono::milliseconds kGrace{5'000};

/// It becomes part of a request line.
bool is_method_name(const std::string& method) {
    if (capability_of_method(method).empty()) return false;
    for (const char c : method) {
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && c != '.' && c != '_') return false;
    }
    return true;
}

void run_call(const Exchange& exchange, const std::string& plugin, const PluginCall& call, int cancelled) {
    auto answer = perform(call, kCallBudget, cancelled);
    exchange.reply(answer ? std::move(*answer) : error_reply::call_failed(plugin, call.method, answer.error().message));
}

}  // namespace

void call_plugin(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange) {
    const std::string& method = request.path.find("method")->second;
    if (!is_method_name(method)) return exchange.reply(error_reply::bad_method_name(method));
    const auto name = PluginName::parse(request.path.find("name")->second);
    if (!name) return exchange.reply(error_reply::bad_plugin_name(name.error().message));

    rooms.server.expect_reply_within(exchange, kCallBudget + kGrace);
    PluginCall call{{}, method, request.request.body, request.request.content_type};
    rooms.core.ask(exchange, [exchange, &workers = rooms.workers, name = name->str(),
                              call = std::move(call)](PluginQueries& core) mutable {
        const auto found = core.find(name);
        if (!found) return exchange.reply(error_reply::plugin_not_found(name));
        if (found->published.empty()) return exchange.reply(error_reply::plugin_not_published(*found));
        call.socket = found->published.front();
        workers.submit(
            [exchange, name, call = std::move(call)](int cancelled) { run_call(exchange, name, call, cancelled); });
    });
}

}  // namespace brokerd
