#include "daemon/control/worker_pool.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <exception>

#include "common/os/system_error.h"
#include "daemon/loop/log.h"

namespace brokerd {

WorkerPool::WorkerPool(std::size_t max_threads, std::chrono::milliseconds idle)
    : max_threads_{max_threads}, idle_time_{idle}, cancelled_{eventfd(0, EFD_CLOEXEC)} {
    if (!cancelled_) throw_errno("eventfd");
}

WorkerPool::~WorkerPool() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto ignored = ::write(cancelled_.get(), &one, sizeof one);
    std::unique_lock lock{mutex_};
    ending_ = true;
    jobs_.clear();
    changed_.notify_all();
    changed_.wait(lock, [this] { return threads_.empty(); });
    join_finished(lock);
}

void WorkerPool::submit(Job job) {
    std::unique_lock lock{mutex_};
    if (ending_) return;
    jobs_.push_back(std::move(job));
    if (idle_ < jobs_.size() && threads_.size() < max_threads_) {
        const auto self = threads_.emplace(threads_.end());
        try {
            *self = std::thread{[this, self] { run(self); }};
        } catch (const std::system_error& error) {
            threads_.erase(self);
            if (threads_.empty()) {
                jobs_.pop_back();
                throw;
            }
            log_warning("control socket: cannot start another thread: {}", error.what());
        }
    }
    changed_.notify_one();
    join_finished(lock);
}

void WorkerPool::run(std::list<std::thread>::iterator self) {
    std::unique_lock lock{mutex_};
    while (!ending_) {
        if (jobs_.empty()) {
            ++idle_;
            const bool woken = changed_.wait_for(lock, idle_time_, [this] { return ending_ || !jobs_.empty(); });
            --idle_;
            if (!woken) break;
            continue;
        }
        const Job job = std::move(jobs_.front());
        jobs_.pop_front();
        lock.unlock();
        try {
            job(cancelled_.get());
        } catch (const std::exception& error) {
            log_error("control socket: unexpected failure: {}", error.what());
        }
        lock.lock();
    }
    finished_.push_back(std::move(*self));
    threads_.erase(self);
    changed_.notify_all();
}

/// A thread cannot join itself: it leaves that to whoever comes next.
void WorkerPool::join_finished(std::unique_lock<std::mutex>& lock) {
    std::vector<std::thread> finished;
    finished.swap(finished_);
    lock.unlock();
    for (std::thread& thread : finished) thread.join();
    lock.lock();
}

}  // namespace brokerd
