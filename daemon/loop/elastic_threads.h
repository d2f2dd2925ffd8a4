#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace brokerd {

/// Threads for jobs that block: made when a job waits and none is idle, up to a limit, and ended when there has been
/// nothing to do for a while; further jobs queue. The last one stays: a job is done, if late, also where the host has
/// no thread left. Thread: any may submit; destroy from outside.
class ElasticThreads {
public:
    using Job = std::function<void()>;
    /// Told of what a job throws, on the thread of that job.
    using Failed = std::function<void(std::exception_ptr)>;

    /// `name` is what the kernel shows (at most 15 bytes). `most` is 1 or more. Throws std::system_error without a
    /// thread.
    ElasticThreads(std::string name, std::size_t most, std::chrono::milliseconds idle, Failed failed);
    /// Drops jobs that have not begun and waits for the others.
    ~ElasticThreads();
    ElasticThreads(const ElasticThreads&) = delete;
    ElasticThreads& operator=(const ElasticThreads&) = delete;

    void submit(Job job);

private:
    using Threads = std::list<std::thread>;

    void add_thread();
    void try_to_add_thread();
    bool wait_for_work(std::unique_lock<std::mutex>& lock);
    void work(Threads::iterator self);
    void join_ended();

    const std::string name_;
    const std::size_t most_;
    const std::chrono::milliseconds idle_time_;
    const Failed failed_;
    std::mutex mutex_;  ///< guards the members below
    std::condition_variable changed_;
    std::deque<Job> jobs_;
    std::size_t idle_ = 0;
    bool ending_ = false;
    Threads threads_;
    std::vector<std::thread> ended_;  ///< to be joined: no thread can join itself
};

}  // namespace brokerd
