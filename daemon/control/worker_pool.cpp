#include "daemon/control/worker_pool.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <exception>
#include <utility>

#include "common/os/system_error.h"
#include "daemon/loop/log.h"

namespace brokerd {
namespace {

void tell_failure(const std::exception_ptr& what) {
    try {
        std::rethrow_exception(what);
    } catch (const std::exception& error) {
        log_error("control socket: unexpected failure: {}", error.what());
    }
}

}  // namespace

WorkerPool::WorkerPool(std::size_t max_threads, std::chrono::milliseconds idle)
    : cancelled_{eventfd(0, EFD_CLOEXEC)}, threads_{"waiter", max_threads, idle, tell_failure} {
    if (!cancelled_) throw_errno("eventfd");
}

WorkerPool::~WorkerPool() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto ignored = ::write(cancelled_.get(), &one, sizeof one);
}

void WorkerPool::submit(Job job) {
    threads_.submit([this, job = std::move(job)] { job(cancelled_.get()); });
}

}  // namespace brokerd
