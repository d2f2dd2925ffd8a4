#pragma once

#include <boost/intrusive/list.hpp>

#include "daemon/stream/event_loop.h"

namespace brokerd {

/// Something that must not take for ever. Objects with a deadline stand in one list that the loop's tick walks, so that
/// setting and clearing a deadline is two pointer moves; precision is EventLoop::kTick.
/// Thread: one proxy thread's.
class Deadline : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
public:
    using Clock = EventLoop::Clock;

    virtual ~Deadline() = default;
    virtual void on_deadline() = 0;

    Clock::time_point due{};
};

/// The objects of one proxy thread that have a deadline. Outlives them.
class DeadlineList {
public:
    explicit DeadlineList(EventLoop& loop) noexcept : loop_{loop} {}

    void set(Deadline& object, Deadline::Clock::duration from_now) {
        object.due = loop_.now() + from_now;
        if (!object.is_linked()) list_.push_back(object);
        loop_.set_ticking(true);
    }
    static void clear(Deadline& object) noexcept { object.unlink(); }
    /// Calls on_deadline() of everything overdue; each is cleared first and may set itself again or destroy others.
    void expire();

private:
    boost::intrusive::list<Deadline, boost::intrusive::constant_time_size<false>> list_;
    EventLoop& loop_;
};

}  // namespace brokerd
