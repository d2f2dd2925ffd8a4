#include <algorithm>
#include <charconv>
#include <iterator>

#include "daemon/control/handlers.h"

namespace brokerd {
namespace {

struct Replay {
    bool active = false;   ///< one event for each plugin that is active now
    std::size_t last = 0;  ///< otherwise so many of the events kept
};

std::optional<Replay> replay_of(const std::string& text) {
    if (text == "active") return Replay{true, 0};
    Replay replay;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), replay.last);
    if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
    return replay;
}

/// The last events that a watcher with `filter` would have been told. The filter then knows what it has seen.
std::vector<PluginEvent> past_events(const EventLog& log, std::size_t count, EventFilter& filter) {
    std::vector<PluginEvent> past;
    std::copy_if(log.kept().begin(), log.kept().end(), std::back_inserter(past),
                 [&](const PluginEvent& event) { return filter.passes(event); });
    if (past.size() > count) past.erase(past.begin(), past.end() - static_cast<std::ptrdiff_t>(count));
    return past;
}

/// Sequence 0: it tells of a state, not of something that just happened.
PluginEvent active_event(const PluginView& plugin) {
    return {0,
            plugin.since,
            "active",
            plugin.name,
            plugin.kind,
            plugin.implements,
            "active before this connection was made"};
}

}  // namespace

void watch_events(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange) {
    const std::string text = request.parameter("replay").value_or("0");
    const auto replay = replay_of(text);
    if (!replay) return exchange.reply(error_reply::bad_parameter("replay", text, "a number, or the word active"));

    EventFilter unfed{request.parameter("capability").value_or("")};
    rooms.core.ask(exchange, [exchange, replay = *replay, filter = std::move(unfed),
                              &streams = rooms.streams](PluginQueries& core) mutable {
        std::vector<PluginEvent> first;
        if (!replay.active && replay.last > 0) first = past_events(core.events(), replay.last, filter);
        for (const PluginView& plugin : core.list()) {
            filter.learn(plugin);
            if (replay.active && plugin.in_service() && filter.wants(plugin.implements))
                first.push_back(active_event(plugin));
        }
        streams.watch(exchange, std::move(first), std::move(filter));
    });
}

}  // namespace brokerd
