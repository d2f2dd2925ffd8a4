#include "daemon/core/failure_spell.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace brokerd {
namespace {

/// Ours: longer than any reason that we make; the rest is what a plugin has said.
constexpr std::size_t kMostBytes = 512;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool belongs_to_word(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.';
}

/// A number after one of these words is what has happened, and not when or to whom.
bool is_kind_of_failure(std::string_view word_before) {
    return word_before == "status" || word_before == "signal";
}

/// Equal for failures that differ in numbers only: words with a digit in them (times, pids, IDs) do not count.
std::size_t shape_of(std::string_view action, std::string text) {
    constexpr std::string_view kRightAfter = " right after ";  // which supervision says of a time, too
    if (const std::size_t at = text.find(kRightAfter); at != std::string::npos)
        text.replace(at, kRightAfter.size(), " 0 s after ");
    std::string shape{action};
    shape += ' ';
    std::string_view reason = text;
    std::string_view before;
    while (!reason.empty()) {
        const auto end = std::find_if_not(reason.begin(), reason.end(), belongs_to_word);
        const auto size = std::max<std::size_t>(static_cast<std::size_t>(end - reason.begin()), 1);
        const std::string_view word = reason.substr(0, size);
        const bool is_number = std::any_of(word.begin(), word.end(), is_digit);
        shape += is_number && !is_kind_of_failure(before) ? std::string_view{"#"} : word;
        if (word != " ") before = word;
        reason.remove_prefix(size);
    }
    return std::hash<std::string>{}(shape);
}

std::chrono::milliseconds between(Scheduler::Clock::time_point from, Scheduler::Clock::time_point to) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(to - from);
}

}  // namespace

bool FailureSpell::fail(std::string_view action, std::string_view reason, Clock::time_point now) {
    ++failures_;
    if (!std::exchange(failing_, true)) since_ = now;
    gone_ = false;
    action_ = action;
    reason_ = reason.substr(0, kMostBytes);
    const std::size_t shape = shape_of(action_, reason_);
    const bool is_new = std::find(told_.begin(), told_.end(), shape) == told_.end();
    const bool is_other = std::exchange(shape_, shape) != shape;
    const bool is_back = is_other && now - changed_ >= kStable;
    if (is_other) changed_ = now;
    if (is_new ? at_once_ == kAtOnce : !is_back) {
        ++untold_;
        return false;
    }
    if (is_new) {
        told_.push_back(shape);
        ++at_once_;
    }
    failing_is_told_ = true;
    return true;
}

bool FailureSpell::recover(Clock::time_point now) {
    if (std::exchange(failing_, false)) since_ = now;
    gone_ = false;
    return std::exchange(failing_is_told_, false);
}

bool FailureSpell::leave(std::string_view reason, Clock::time_point now) {
    const bool is_told = fail("gone", reason, now);
    failing_is_told_ = is_told;
    if (is_told) untold_ = 0;
    gone_ = true;
    since_ = now;
    return is_told;
}

std::optional<FailureSpell::Sum> FailureSpell::due(Clock::time_point now) {
    const bool is_over = (gone_ || !failing_) && now - since_ >= kStable;
    const bool lasts = failing_ && !failing_is_told_ && now - since_ >= kLasting;
    const bool is_time = untold_ > 0 && now >= next_sum_;
    if (!is_over && !lasts && !is_time) return std::nullopt;
    const Sum sum{std::exchange(untold_, 0), between(std::exchange(last_sum_, now), now), is_over};
    failing_is_told_ = failing_;
    if (is_time) pause_ = std::min<std::chrono::milliseconds>(pause_ * 2, kLongestPause);
    next_sum_ = now + pause_;
    if (at_once_ == kAtOnce) {
        told_ = {shape_};
        at_once_ = 1;
    }
    return sum;
}

std::chrono::milliseconds FailureSpell::lasted(Clock::time_point now) const {
    return between(begun_, now);
}

}  // namespace brokerd
