#include "daemon/control/user_shares.h"

namespace brokerd {

bool UserShares::has_room(uid_t user) const {
    if (is_full()) return false;
    return user == 0 || user == own_ || of(user) < limit_ - taken_;
}

std::size_t UserShares::of(uid_t user) const {
    const auto found = users_.find(user);
    return found == users_.end() ? 0 : found->second;
}

void UserShares::take(uid_t user) {
    ++users_[user];
    ++taken_;
}

void UserShares::give_back(uid_t user) noexcept {
    const auto found = users_.find(user);
    if (found == users_.end()) return;
    --taken_;
    if (--found->second == 0) users_.erase(found);
}

}  // namespace brokerd
