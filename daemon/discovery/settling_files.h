#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>

#include "daemon/discovery/search_order.h"
#include "daemon/loop/scheduler.h"

namespace brokerd {

/// Files that have just been created and that somebody may still be writing: they do not count yet. Usually the end of
/// the writing is an event that ends the wait; the timer is for files that nobody writes to.
/// Thread: the core loop's.
class SettlingFiles {
public:
    using Settled = std::function<void(const EntryPath&)>;

    /// `settled` is called for a file whose time is up, after it has been forgotten here.
    SettlingFiles(Scheduler& scheduler, Settled settled) : scheduler_{scheduler}, settled_{std::move(settled)} {}

    /// Does nothing where the file is settling already.
    void add(const EntryPath& path, Scheduler::Clock::duration time);
    void forget(const EntryPath& path) { timers_.erase(path); }
    void forget_all() { timers_.clear(); }
    [[nodiscard]] bool contains(const EntryPath& path) const { return timers_.contains(path); }
    [[nodiscard]] std::size_t size() const noexcept { return timers_.size(); }

private:
    Scheduler& scheduler_;
    Settled settled_;
    std::map<EntryPath, std::unique_ptr<Scheduler::Timer>> timers_;
};

}  // namespace brokerd
