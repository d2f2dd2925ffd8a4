#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "daemon/loop/core_loop.h"

namespace brokerd {

/// Threads for what blocks (name resolution, certificate files). Bounded; threads are made when work waits and none is
/// idle, and stay. Jobs must end by themselves within a bounded time: the destructor waits for those that have begun.
class Workers {
public:
    Workers(CoreLoop& loop, std::size_t most) noexcept : loop_{loop}, most_{most} {}
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
    void enqueue(std::function<void()> job);
    void work();

    CoreLoop& loop_;
    const std::size_t most_;
    std::mutex mutex_;  ///< guards the members below
    std::condition_variable changed_;
    std::deque<std::function<void()>> jobs_;
    std::size_t idle_ = 0;
    bool stopping_ = false;
    std::vector<std::thread> threads_;  ///< the core loop's alone
};

}  // namespace brokerd
