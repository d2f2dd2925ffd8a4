#include "daemon/loop/elastic_threads.h"

#include <pthread.h>

#include <system_error>
#include <utility>

#include "daemon/loop/log.h"

namespace brokerd {

ElasticThreads::ElasticThreads(std::string name, std::size_t most, std::chrono::milliseconds idle, Failed failed)
    : name_{std::move(name)}, most_{most}, idle_time_{idle}, failed_{std::move(failed)} {
    const std::lock_guard lock{mutex_};
    add_thread();
}

ElasticThreads::~ElasticThreads() {
    {
        std::unique_lock lock{mutex_};
        ending_ = true;
        jobs_.clear();
        changed_.notify_all();
        changed_.wait(lock, [this] { return threads_.empty(); });
    }
    join_ended();
}

void ElasticThreads::submit(Job job) {
    {
        const std::lock_guard lock{mutex_};
        if (ending_) return;
        jobs_.push_back(std::move(job));
        if (jobs_.size() > idle_ && threads_.size() < most_) try_to_add_thread();
        changed_.notify_one();
    }
    join_ended();
}

/// With the mutex locked.
void ElasticThreads::add_thread() {
    const auto self = threads_.emplace(threads_.end());
    try {
        *self = std::thread{[this, self] { work(self); }};
    } catch (...) {
        threads_.erase(self);
        throw;
    }
}

/// With the mutex locked. Where the host has no thread left, those that there are do it later.
void ElasticThreads::try_to_add_thread() {
    try {
        add_thread();
    } catch (const std::system_error& error) {
        log_warning("cannot start another thread: {}", error.what());
    }
}

/// Whether there is any. The last thread, which stays, is not woken to find that out.
bool ElasticThreads::wait_for_work(std::unique_lock<std::mutex>& lock) {
    const auto is_wanted = [this] { return ending_ || !jobs_.empty(); };
    if (threads_.size() > 1) return changed_.wait_for(lock, idle_time_, is_wanted);
    changed_.wait(lock, is_wanted);
    return true;
}

void ElasticThreads::work(Threads::iterator self) {
    pthread_setname_np(pthread_self(), name_.c_str());
    std::unique_lock lock{mutex_};
    while (!ending_) {
        if (jobs_.empty()) {
            ++idle_;
            const bool woken = wait_for_work(lock);
            --idle_;
            if (!woken && threads_.size() > 1) break;
            continue;
        }
        const Job job = std::move(jobs_.front());
        jobs_.pop_front();
        lock.unlock();
        try {
            job();
        } catch (...) {
            failed_(std::current_exception());
        }
        lock.lock();
    }
    ended_.push_back(std::move(*self));
    threads_.erase(self);
    changed_.notify_all();
}

void ElasticThreads::join_ended() {
    std::vector<std::thread> ended;
    {
        const std::lock_guard lock{mutex_};
        ended.swap(ended_);
    }
    for (std::thread& thread : ended) thread.join();
}

}  // namespace brokerd
