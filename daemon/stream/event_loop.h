#pragma once

#include <sys/epoll.h>

#include <boost/intrusive/list.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "common/os/unique_fd.h"
#include "daemon/loop/mailbox.h"

namespace brokerd {

/// What an EventLoop calls when a descriptor is ready.
class EventHandler {
public:
    virtual ~EventHandler() = default;
    virtual void on_events(std::uint32_t events) = 0;
};

/// Work for the end of a batch of events, done once however often it is asked for.
class Deferred {
public:
    using Hook = boost::intrusive::list_member_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

    virtual void on_batch_end() = 0;

    Hook deferred_hook;

protected:
    ~Deferred() = default;
};

/// The event loop of one proxy thread, on epoll. Everything is edge-triggered unless said otherwise, so that readiness
/// costs no further system call. Nothing outside daemon/proxy sees it.
/// Thread: run() and all else on the proxy's thread; post() and stop() from any.
class EventLoop {
public:
    using Clock = std::chrono::steady_clock;

    EventLoop();
    EventLoop(const EventLoop&) = delete;
    EventLoop& operator=(const EventLoop&) = delete;

    /// Until stop(), and once more at the next call. `on_tick` is called about every kTick while ticking is on.
    void run(const std::function<void()>& on_tick);
    void stop();
    void post(std::function<void()> work) { posted_.post(std::move(work)); }

    /// Watches `fd`, which stays its owner's, until remove() or until it is closed.
    void add(int fd, std::uint32_t events, EventHandler& handler);
    /// Replaces the events that `fd` is watched for; those that hold already are told once more.
    void modify(int fd, std::uint32_t events, EventHandler& handler) noexcept;
    void remove(int fd) noexcept;

    /// Calls work.on_batch_end() when the present batch of events has been handled: what is written then wakes its
    /// readers in one burst, where writing at once would let each of them interrupt the batch (measured:
    /// daemon/README.md, Decisions).
    void defer(Deferred& work) noexcept {
        if (!work.deferred_hook.is_linked()) deferred_.push_back(work);
    }

    /// Keeps `object` alive until no event of the present batch can refer to it any more, then destroys it.
    void retire(std::shared_ptr<void> object) { retired_.push_back(std::move(object)); }

    /// Destroys what is retired; for the end of a thread, when no event can come any more.
    void release_retired() noexcept;

    /// Time of the present batch of events; no system call.
    [[nodiscard]] Clock::time_point now() const noexcept { return now_; }

    /// Deadlines are checked this often while there are any; no timer is set or cleared per request.
    static constexpr std::chrono::milliseconds kTick{100};
    void set_ticking(bool on) noexcept {
        if (on != ticking_) start_or_stop_ticking(on);
    }

private:
    [[nodiscard]] bool control(int operation, int fd, std::uint32_t events, void* handler) noexcept;
    void watch(int fd, std::uint32_t events, void* handler);
    void start_or_stop_ticking(bool on) noexcept;
    void read_ticks(const std::function<void()>& on_tick);
    void run_deferred() noexcept;

    UniqueFd epoll_;
    UniqueFd ticker_;  ///< a timer of its own: epoll_wait's time-out would be programmed anew for every batch
    Clock::time_point now_ = Clock::now();
    bool ticking_ = false;
    bool stopping_ = false;
    boost::intrusive::list<Deferred, boost::intrusive::constant_time_size<false>,
                           boost::intrusive::member_hook<Deferred, Deferred::Hook, &Deferred::deferred_hook>>
        deferred_;
    std::vector<std::shared_ptr<void>> retired_;
    Mailbox<> posted_;
};

}  // namespace brokerd
