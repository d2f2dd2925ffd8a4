#include "daemon/core/event_log.h"

namespace brokerd {

void EventLog::publish(PluginEvent event) {
    event.sequence = ++last_sequence_;
    event.time = clock_.wall_clock();
    kept_.push_back(std::move(event));
    if (kept_.size() > kKept) kept_.pop_front();

    // Handlers may publish, subscribe and unsubscribe: work on copies.
    const PluginEvent published = kept_.back();
    const std::list<Subscriber> told = subscribers_;
    for (const Subscriber& subscriber : told) (*subscriber.handler)(published);
}

EventLog::Subscription EventLog::subscribe(Handler handler) {
    subscribers_.push_back({++last_subscriber_, std::make_shared<Handler>(std::move(handler))});
    return Subscription{*this, last_subscriber_};
}

void EventLog::unsubscribe(std::uint64_t id) {
    subscribers_.remove_if([id](const Subscriber& subscriber) { return subscriber.id == id; });
}

}  // namespace brokerd
