#include "daemon/control/docker_events.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/protocol/control_api.h"

namespace brokerd {
namespace {

using Clock = std::chrono::system_clock;

/// Ours: nobody waits longer, and it is far from the largest number of milliseconds.
constexpr std::chrono::hours kLongestWatch{24 * 365};

}  // namespace

void DockerEvents::tell(DockerEvent event) {
    // Now, not when the mail is read: a client may ask for events until the moment when it was answered.
    event.time = Clock::now();
    server_.post([this, event = std::move(event)]() mutable { keep(std::move(event)); });
}

void DockerEvents::watch(const Exchange& exchange, Watch watch) {
    server_.post([this, exchange, watch = std::move(watch)]() mutable { open(exchange, std::move(watch)); });
}

void DockerEvents::keep(DockerEvent event) {
    std::vector<Exchange> told;  // sending may end a watcher, and so change the map
    for (const auto& [id, watcher] : watchers_) {
        if (watcher.filter.passes(event)) told.push_back(watcher.exchange);
    }
    const std::string line = line_of(event);
    for (const Exchange& watcher : told) server_.send(watcher, line);
    kept_.push_back(std::move(event));
    if (kept_.size() > kKept) kept_.pop_front();
}

std::string DockerEvents::past(const Watch& watch) const {
    std::string lines;
    if (!watch.since && !watch.until) return lines;
    for (const DockerEvent& event : kept_) {
        const bool is_due =
            (!watch.since || event.time >= *watch.since) && (!watch.until || event.time <= *watch.until);
        if (is_due && watch.filter.passes(event)) lines += line_of(event);
    }
    return lines;
}

void DockerEvents::open(const Exchange& exchange, Watch watch) {
    const std::string lines = past(watch);
    const auto now = Clock::now();
    if (watch.until && *watch.until <= now)
        return server_.finish(exchange, {200, std::string{control_api::kJson}, lines, {}});

    const Exchange::Id id = exchange.connection();
    const auto closed = [this, id] { watchers_.erase(id); };
    if (!server_.open_stream(exchange, std::string{control_api::kJson}, closed)) return;
    watchers_.insert_or_assign(id, Watcher{exchange, std::move(watch.filter)});
    if (watch.until) {
        const auto left = std::min<Clock::duration>(*watch.until - now, kLongestWatch);
        server_.end_stream_within(exchange, std::chrono::ceil<std::chrono::milliseconds>(left));
    }
    server_.send(exchange, lines);
}

}  // namespace brokerd
