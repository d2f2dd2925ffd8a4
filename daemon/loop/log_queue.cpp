#include "daemon/loop/log_queue.h"

#include <pthread.h>

#include <utility>

namespace brokerd {

LogQueue::LogQueue(std::unique_ptr<LogSink> sink) : LogQueue{std::move(sink), Limits{}} {}

LogQueue::LogQueue(std::unique_ptr<LogSink> sink, Limits limits) : sink_{std::move(sink)}, limits_{limits} {
    thread_ = std::thread{[this] { run(); }};
}

LogQueue::~LogQueue() {
    {
        const std::lock_guard lock{mutex_};
        over_ = true;
    }
    news_.notify_all();
    thread_.join();
}

void LogQueue::write(LogEntry entry) noexcept {
    try {
        const std::lock_guard lock{mutex_};
        const bool is_first = kept_.empty() && lost_ == 0;
        if (is_first && sink_->try_write(entry)) return;
        const std::size_t size = size_of(entry);
        if (lost_ > 0 || kept_bytes_ + size > limits_.bytes) {
            ++lost_;
        } else {
            kept_.push_back(std::move(entry));
            kept_bytes_ += size;
        }
        if (is_first) news_.notify_all();
    } catch (...) {  // NOLINT(bugprone-empty-catch): out of memory while logging: there is nobody left to tell
    }
}

void LogQueue::run() {
    pthread_setname_np(pthread_self(), "log");
    std::chrono::steady_clock::time_point end{};  // once over
    std::unique_lock lock{mutex_};
    for (;;) {
        news_.wait(lock, [this] { return over_ || !kept_.empty() || lost_ > 0; });
        if (over_ && end == std::chrono::steady_clock::time_point{})
            end = std::chrono::steady_clock::now() + limits_.last_patience;
        write_kept();
        const bool all_told = kept_.empty() && lost_ == 0;
        if (all_told && over_) return;
        if (all_told) continue;
        if (over_ && std::chrono::steady_clock::now() >= end) return;
        const auto patience = over_ ? std::min(limits_.pause, limits_.last_patience) : limits_.pause;
        lock.unlock();  // the sink is this thread's: others only write where nothing is kept
        sink_->wait_for_room(patience);
        lock.lock();
    }
}

void LogQueue::write_kept() {
    while (!kept_.empty() && sink_->try_write(kept_.front())) {
        kept_bytes_ -= size_of(kept_.front());
        kept_.pop_front();
    }
    if (kept_.empty() && lost_ > 0 && sink_->try_write(lost_entry(lost_))) lost_ = 0;
}

LogEntry LogQueue::lost_entry(std::uint64_t lost) {
    return {LogLevel::warning,
            fmt::format("{} line{} of brokerd's log {} lost here: whoever takes it did not keep up", lost,
                        lost == 1 ? "" : "s", lost == 1 ? "was" : "were"),
            message::kLogLost};
}

std::size_t LogQueue::size_of(const LogEntry& entry) noexcept {
    std::size_t size = sizeof entry + entry.message.size();
    for (const LogEntry::Field& field : entry.fields) size += sizeof field + field.value.size();
    return size;
}

}  // namespace brokerd
