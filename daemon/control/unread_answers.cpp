#include "daemon/control/unread_answers.h"

namespace brokerd {

void UnreadAnswers::hold(const Answer& answer) {
    if (readers_[answer.get()]++ == 0) bytes_ += answer->size();
}

void UnreadAnswers::let_go(const Answer& answer) noexcept {
    const auto found = readers_.find(answer.get());
    if (--found->second != 0) return;
    bytes_ -= answer->size();
    readers_.erase(found);
}

}  // namespace brokerd
