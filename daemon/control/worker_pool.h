#pragma once

#include <chrono>
#include <cstddef>
#include <functional>

#include "common/os/unique_fd.h"
#include "daemon/loop/elastic_threads.h"

namespace brokerd {

/// Threads for requests that have to wait for something outside of brokerd.
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
    UniqueFd cancelled_;
    ElasticThreads threads_;
};

}  // namespace brokerd
