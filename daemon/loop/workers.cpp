#include "daemon/loop/workers.h"

#include <pthread.h>

#include <exception>

namespace brokerd {

Workers::~Workers() {
    {
        const std::lock_guard lock{mutex_};
        stopping_ = true;
        jobs_.clear();
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
}

void Workers::enqueue(std::function<void()> job) {
    bool needs_thread = false;
    {
        const std::lock_guard lock{mutex_};
        jobs_.push_back(std::move(job));
        needs_thread = jobs_.size() > idle_ && threads_.size() < most_;
    }
    if (needs_thread) threads_.emplace_back([this] { work(); });
    changed_.notify_one();
}

void Workers::work() {
    pthread_setname_np(pthread_self(), "worker");
    std::unique_lock lock{mutex_};
    while (!stopping_) {
        if (jobs_.empty()) {
            ++idle_;
            changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
            --idle_;
            continue;
        }
        const std::function<void()> job = std::move(jobs_.front());
        jobs_.pop_front();
        lock.unlock();
        try {
            job();
        } catch (...) {
            loop_.report(std::current_exception());
        }
        lock.lock();
    }
}

}  // namespace brokerd
