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

#include "common/os/unique_fd.h"

namespace brokerd {

/// Threads for requests that have to wait for something outside of brokerd. They come on demand, up to a limit, and go
/// when there is nothing to do; further jobs queue.
/// Thread: any may submit; destroy from outside. The destructor raises the cancellation and waits for running jobs.
class WorkerPool {
public:
    /// `cancelled` becomes readable when the pool ends: a job polls it beside whatever it waits for, and then returns.
    using Job = std::function<void(int cancelled)>;

    WorkerPool(std::size_t max_threads, std::chrono::milliseconds idle);
    ~WorkerPool();
    WorkerPool(const WorkerPool&) = delete;
    WorkerPool& operator=(const WorkerPool&) = delete;

    void submit(Job job);

private:
    void run(std::list<std::thread>::iterator self);
    void join_finished(std::unique_lock<std::mutex>& lock);

    const std::size_t max_threads_;
    const std::chrono::milliseconds idle_time_;
    UniqueFd cancelled_;
    std::mutex mutex_;  ///< guards all below
    std::condition_variable changed_;
    std::deque<Job> jobs_;
    std::list<std::thread> threads_;
    std::vector<std::thread> finished_;
    std::size_t idle_ = 0;
    bool ending_ = false;
};

}  // namespace brokerd
