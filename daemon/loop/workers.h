#pragma once

#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <utility>

#include "daemon/loop/core_loop.h"
#include "daemon/loop/elastic_threads.h"

namespace brokerd {

/// Runs what blocks (name resolution, certificate files, the OCI runtime) beside the core loop. Jobs must end by
/// themselves within a bounded time: the destructor drops those that have not begun and waits for the others.
class Workers {
public:
    /// Ours: what comes in bursts is done by the same threads, and an idle daemon is small.
    static constexpr std::chrono::seconds kIdle{10};

    Workers(CoreLoop& loop, std::size_t most, std::chrono::milliseconds idle = kIdle)
        : loop_{loop}, threads_{"worker", most, idle, [&loop](std::exception_ptr what) {
                                    loop.report(std::move(what));
                                }} {}

    /// Runs `job` on a worker, then `then` with its result on the core loop. Thread: the core loop's.
    template <class Job, class Then>
    void run(Job job, Then then) {
        threads_.submit([this, job = std::move(job), then = std::move(then)]() mutable {
            auto result = std::make_shared<decltype(job())>(job());
            loop_.post([result, then = std::move(then)]() mutable { then(std::move(*result)); });
        });
    }

private:
    CoreLoop& loop_;
    ElasticThreads threads_;
};

}  // namespace brokerd
