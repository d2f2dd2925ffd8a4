#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <list>
#include <mutex>
#include <thread>
#include <vector>

#include "daemon/loop/core_loop.h"

namespace brokerd {

/// Threads for what blocks (name resolution, certificate files, the OCI runtime). Bounded; threads are made when work
/// waits and none is idle, and end when there is nothing to do. Jobs must end by themselves within a bounded time: the
/// destructor waits for those that have begun.
class Workers {
public:
    /// Ours: what comes in bursts is done by the same threads, and an idle daemon is small.
    static constexpr std::chrono::seconds kIdle{10};

    Workers(CoreLoop& loop, std::size_t most, std::chrono::milliseconds idle = kIdle) noexcept
        : loop_{loop}, most_{most}, idle_time_{idle} {}
    /// Drops jobs that have not begun and waits for the others.
    ~Workers();
    Workers(const Workers&) = delete;
    Workers& operator=(const Workers&) = delete;

    /// Runs `job` on a worker, then `then` with its result on the core loop. Thread: the core loop's.
    template <class Job, class Then>
    void run(Job job, Then then) {
        enqueue([this, job = std::move(job), then = std::move(then)]() mutable {
            auto result = std::make_shared<decltype(job())>(job());
            loop_.post([result, then = std::move(then)]() mutable { then(std::move(*result)); });
        });
    }

private:
    using Threads = std::list<std::thread>;

    void enqueue(std::function<void()> job);
    void add_thread();
    void work(Threads::iterator self);
    void join_ended();

    CoreLoop& loop_;
    const std::size_t most_;
    const std::chrono::milliseconds idle_time_;
    std::mutex mutex_;  ///< guards the members below
    std::condition_variable changed_;
    std::deque<std::function<void()>> jobs_;
    std::size_t idle_ = 0;
    bool stopping_ = false;
    Threads threads_;
    std::vector<std::thread> ended_;  ///< to be joined: no thread can join itself
};

}  // namespace brokerd
