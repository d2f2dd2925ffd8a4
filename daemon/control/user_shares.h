#pragma once

#include <sys/types.h>

#include <cstddef>
#include <map>

namespace brokerd {

/// How many of a limited number of places each user has. Root and the user that brokerd runs as may have all of them.
/// Every other user may have as many as are then left for the rest, so that no user's clients, however many, keep
/// another's out: the first may have half, the next half of what is left, and so on. Thread: one.
class UserShares {
public:
    UserShares(std::size_t limit, uid_t own) noexcept : limit_{limit}, own_{own} {}

    /// Whether there is another place for this user.
    [[nodiscard]] bool has_room(uid_t user) const;
    /// Whether there is one for anybody.
    [[nodiscard]] bool is_full() const noexcept { return taken_ >= limit_; }
    [[nodiscard]] std::size_t of(uid_t user) const;
    [[nodiscard]] std::size_t taken() const noexcept { return taken_; }
    [[nodiscard]] std::size_t limit() const noexcept { return limit_; }

    void take(uid_t user);
    /// Precondition: the user has one.
    void give_back(uid_t user) noexcept;

private:
    const std::size_t limit_;
    const uid_t own_;
    std::size_t taken_ = 0;
    std::map<uid_t, std::size_t> users_;  ///< none of them 0
};

}  // namespace brokerd
