#include "daemon/discovery/settling_files.h"

namespace brokerd {

void SettlingFiles::add(const EntryPath& path, Scheduler::Clock::duration time) {
    if (contains(path)) return;
    timers_.emplace(path, scheduler_.after(time, [this, path] {
        timers_.erase(path);
        settled_(path);
    }));
}

}  // namespace brokerd
