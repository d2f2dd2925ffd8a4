#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <vector>

#include "common/plugin_view.h"
#include "daemon/loop/scheduler.h"

namespace brokerd {

/// What happened to plugins: keeps the newest events for replay and tells its subscribers of each new one.
/// Thread: the core loop's.
class EventLog {
public:
    using Handler = std::function<void(const PluginEvent&)>;

    /// Unsubscribes when destroyed; a handler may destroy its own.
    class Subscription {
    public:
        Subscription(EventLog& log, std::uint64_t id) noexcept : log_{&log}, id_{id} {}
        Subscription(Subscription&& other) noexcept : log_{std::exchange(other.log_, nullptr)}, id_{other.id_} {}
        Subscription& operator=(Subscription&&) = delete;
        ~Subscription() {
            if (log_ != nullptr) log_->unsubscribe(id_);
        }

    private:
        EventLog* log_;
        std::uint64_t id_;
    };

    /// Ours: enough to see what happened since boot on a busy host, in well under a megabyte.
    static constexpr std::size_t kKept = 1024;

    explicit EventLog(const Scheduler& clock) noexcept : clock_{clock} {}

    /// Completes `event` with sequence and time, keeps it and tells every subscriber.
    void publish(PluginEvent event);
    /// `handler` is called for each event from now on. The log outlives the subscription.
    [[nodiscard]] Subscription subscribe(Handler handler);
    /// The events kept, oldest first.
    [[nodiscard]] const std::deque<PluginEvent>& kept() const noexcept { return kept_; }

private:
    struct Subscriber {
        std::uint64_t id;
        std::shared_ptr<Handler> handler;  ///< shared: it may unsubscribe while it runs
    };

    void unsubscribe(std::uint64_t id);

    const Scheduler& clock_;
    std::deque<PluginEvent> kept_;
    std::list<Subscriber> subscribers_;
    std::uint64_t last_sequence_ = 0;
    std::uint64_t last_subscriber_ = 0;
};

}  // namespace brokerd
