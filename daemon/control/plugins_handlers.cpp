#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <functional>
#include <iterator>

#include "common/plugin_name.h"
#include "daemon/control/handlers.h"
#include "daemon/control/json_reply.h"

namespace brokerd {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Ours: longer than any activation window; each waiting request is remembered by the core.
constexpr seconds kMaxTimeout{300};
/// DESIGN.md section 6: how long activation is retried.
constexpr seconds kActivationTimeout{30};
/// What the core may take beyond the time that the client gave.
constexpr milliseconds kGrace{5'000};

bool has(const std::vector<std::string>& words, const std::string& word) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

template <std::size_t N>
bool is_one_of(const std::optional<std::string>& value, const std::array<std::string_view, N>& allowed) {
    return !value || std::find(allowed.begin(), allowed.end(), *value) != allowed.end();
}

/// The name in the path, or nothing once the exchange has been told what is wrong with it.
std::optional<std::string> plugin_name(const RoutedRequest& request, const Exchange& exchange) {
    const auto name = PluginName::parse(request.path.find("name")->second);
    if (name) return name->str();
    exchange.reply(error_reply::bad_plugin_name(name.error().message));
    return std::nullopt;
}

/// timeout=SECONDS, or nothing once the exchange has been told what is wrong with it.
std::optional<seconds> timeout(const RoutedRequest& request, seconds otherwise, const Exchange& exchange) {
    const auto text = request.parameter("timeout");
    if (!text) return otherwise;
    int value = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
    if (error == std::errc{} && end == text->data() + text->size() && value >= 0 && value <= kMaxTimeout.count()) {
        return seconds{value};
    }
    exchange.reply(error_reply::bad_parameter("timeout", *text, "whole seconds from 0 to 300"));
    return std::nullopt;
}

/// The answer to "give me this plugin, if it has that capability". Runs on the core loop's thread.
void answer_look_up(PluginQueries& core, const Exchange& exchange, const std::string& name,
                    const std::string& capability, std::optional<PluginView> found) {
    if (!found) return exchange.reply(error_reply::plugin_not_found(name));
    if (!found->in_service()) return exchange.reply(error_reply::plugin_not_active(*found));
    if (!capability.empty() && !has(found->implements, capability)) {
        core.note_missing_capability(name, capability);
        return exchange.reply(error_reply::lacks_capability(*found, capability));
    }
    exchange.reply_with([view = std::move(*found)] { return json_reply(view); });
}

}  // namespace

void list_plugins(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange) {
    static constexpr std::array<std::string_view, 2> kKinds{"legacy", "managed"};
    static constexpr std::array<std::string_view, 11> kStates{"discovered", "activating", "active",    "failed",
                                                              "invalid",    "disabled",   "starting",  "running",
                                                              "unhealthy",  "stopping",   "restarting"};
    const auto capability = request.parameter("capability"), kind = request.parameter("kind"),
               state = request.parameter("state");
    if (!is_one_of(kind, kKinds)) return exchange.reply(error_reply::bad_parameter("kind", *kind, "legacy or managed"));
    if (!is_one_of(state, kStates)) {
        return exchange.reply(error_reply::bad_parameter(
            "state", *state,
            "discovered, activating, active, failed, invalid, disabled, starting, running, unhealthy, stopping or "
            "restarting"));
    }
    // A word may be empty, which is not the same as none.
    std::string key = "plugins";
    for (const auto& word : {kind, state, capability}) key += word ? "=" + *word + '\n' : "\n";
    rooms.shared.plugins.ask(exchange, std::move(key), [=](const std::vector<PluginView>& all) {
        std::vector<std::reference_wrapper<const PluginView>> plugins;
        std::copy_if(all.begin(), all.end(), std::back_inserter(plugins), [&](const PluginView& plugin) {
            return (!kind || plugin.kind == *kind) && (!state || plugin.state == *state) &&
                   (!capability || has(plugin.implements, *capability));
        });
        std::sort(plugins.begin(), plugins.end(),
                  [](const PluginView& a, const PluginView& b) { return a.name < b.name; });
        return json_list_reply("Plugins", plugins);
    });
}

void inspect_plugin(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange) {
    const auto name = plugin_name(request, exchange);
    if (!name) return;
    rooms.core.ask(exchange, [=, name = *name](PluginQueries& core) {
        auto found = core.find(name);
        if (!found) return exchange.reply(error_reply::plugin_not_found(name));
        exchange.reply_with([view = std::move(*found)] { return json_reply(view); });
    });
}

void look_up_plugin(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange) {
    const auto name = plugin_name(request, exchange);
    if (!name) return;
    const auto wait = timeout(request, seconds{0}, exchange);
    if (!wait) return;
    rooms.server.expect_reply_within(exchange, *wait + kGrace);
    rooms.core.ask(exchange, [exchange, name = *name, wait = *wait,
                              capability = request.parameter("capability").value_or("")](PluginQueries& core) {
        if (wait == seconds{0}) return answer_look_up(core, exchange, name, capability, core.find(name));
        core.when_settled(name, wait, [&core, exchange, name, capability](std::optional<PluginView> found) {
            answer_look_up(core, exchange, name, capability, std::move(found));
        });
    });
}

void activate_plugin(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange) {
    const auto name = plugin_name(request, exchange);
    if (!name) return;
    const auto wait = timeout(request, kActivationTimeout, exchange);
    if (!wait) return;
    rooms.server.expect_reply_within(exchange, *wait + kGrace);
    rooms.core.ask(exchange, [exchange, name = *name, wait = *wait](PluginQueries& core) {
        core.activate(name, wait, [&core, exchange, name](std::optional<PluginView> found) {
            answer_look_up(core, exchange, name, {}, std::move(found));
        });
    });
}

}  // namespace brokerd
