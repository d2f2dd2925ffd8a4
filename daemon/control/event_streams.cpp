#include "daemon/control/event_streams.h"

#include "common/json.h"
#include "common/protocol/control_api.h"

namespace brokerd {
namespace {

std::string line_of(const PluginEvent& event) {
    rapidjson::StringBuffer buffer;
    JsonWriter writer{buffer};
    write_json(writer, event);
    std::string line{buffer.GetString(), buffer.GetSize()};
    line += '\n';
    return line;
}

}  // namespace

void EventStreams::watch(const Exchange& exchange, std::vector<PluginEvent> replay, EventFilter filter) {
    ++expected_;
    server_.post([this, exchange, replay = std::move(replay), filter = std::move(filter)]() mutable {
        open(exchange, replay, std::move(filter));
    });
}

void EventStreams::publish(const PluginEvent& event) {
    if (expected_ == 0) return;
    server_.post([this, event] { tell(event); });
}

void EventStreams::open(const Exchange& exchange, const std::vector<PluginEvent>& replay, EventFilter filter) {
    const Exchange::Id id = exchange.connection();
    const auto closed = [this, id] {
        watchers_.erase(id);
        --expected_;
    };
    std::string lines;
    for (const PluginEvent& event : replay) lines += line_of(event);
    watchers_.emplace(id, Watcher{exchange, std::move(filter)});
    if (!server_.open_stream(exchange, std::string{control_api::kNdjson}, closed)) {
        // Either refused, so that closed() is never called, or already closed, and closed() has been.
        if (watchers_.contains(id)) closed();
        return;
    }
    server_.send(exchange, lines);
}

void EventStreams::tell(const PluginEvent& event) {
    std::vector<Exchange> told;  // sending may end a watcher, and so change the map
    for (auto& [id, watcher] : watchers_) {
        if (watcher.filter.passes(event)) told.push_back(watcher.exchange);
    }
    if (told.empty()) return;
    const std::string line = line_of(event);
    for (const Exchange& watcher : told) server_.send(watcher, line);
}

}  // namespace brokerd
