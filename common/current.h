#pragma once

#include <memory>
#include <mutex>
#include <utility>

namespace brokerd {

/// The newest version of something immutable: who has taken one keeps it, and the next who asks gets the next one.
/// Thread: any.
template <class Value>
class Current {
public:
    explicit Current(Value value) : value_{std::make_shared<const Value>(std::move(value))} {}

    /// Never null.
    [[nodiscard]] std::shared_ptr<const Value> get() const {
        const std::lock_guard lock{mutex_};
        return value_;
    }
    void set(Value value) {
        auto next = std::make_shared<const Value>(std::move(value));
        const std::lock_guard lock{mutex_};
        value_.swap(next);
    }

private:
    mutable std::mutex mutex_;
    std::shared_ptr<const Value> value_;  ///< guarded by the mutex
};

}  // namespace brokerd
