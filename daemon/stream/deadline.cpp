#include "daemon/stream/deadline.h"

#include <vector>

namespace brokerd {

void DeadlineList::expire() {
    std::vector<Deadline*> overdue;
    for (Deadline& object : list_) {
        if (object.due <= loop_.now()) overdue.push_back(&object);
    }
    // What a callback closes is only retired, not destroyed, until the batch ends: the pointers stay good, and an
    // object that a callback has unlinked or given a new deadline is left alone.
    for (Deadline* object : overdue) {
        if (!object->is_linked() || object->due > loop_.now()) continue;
        object->unlink();
        object->on_deadline();
    }
    loop_.set_ticking(!list_.empty());
}

}  // namespace brokerd
