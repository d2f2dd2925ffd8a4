#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <unordered_map>

namespace brokerd {

/// The answers that clients have not taken yet, and how much memory they are. One that several clients read is there
/// once, and counts once. Thread: one.
class UnreadAnswers {
public:
    using Answer = std::shared_ptr<const std::string>;

    /// Another client is to take it.
    void hold(const Answer& answer);
    /// That client has taken it, or has gone. Precondition: hold() before.
    void let_go(const Answer& answer) noexcept;

    [[nodiscard]] bool has(const Answer& answer) const { return readers_.count(answer.get()) != 0; }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

private:
    std::unordered_map<const std::string*, std::size_t> readers_;  ///< how many each has: one or more
    std::size_t bytes_ = 0;
};

}  // namespace brokerd
