#pragma once

#include <cstddef>
#include <initializer_list>
#include <utility>
#include <vector>

namespace brokerd {

/// A list of Docker's API that may be missing: where it is, the API prints null, and [] where it is empty. To everybody
/// else a missing list is an empty one.
template <class T>
class NullableList {
public:
    NullableList() = default;  ///< missing
    explicit NullableList(std::vector<T> items) : items_{std::move(items)}, missing_{false} {}
    NullableList(std::initializer_list<T> items) : items_{items}, missing_{false} {}

    [[nodiscard]] bool missing() const noexcept { return missing_; }
    [[nodiscard]] const std::vector<T>& items() const noexcept { return items_; }
    [[nodiscard]] std::vector<T>& items() noexcept { return items_; }
    [[nodiscard]] bool empty() const noexcept { return items_.empty(); }
    [[nodiscard]] std::size_t size() const noexcept { return items_.size(); }
    [[nodiscard]] auto begin() const noexcept { return items_.begin(); }
    [[nodiscard]] auto end() const noexcept { return items_.end(); }
    [[nodiscard]] const T& operator[](std::size_t index) const { return items_[index]; }

    friend bool operator==(const NullableList&, const NullableList&) = default;

private:
    std::vector<T> items_;
    bool missing_ = true;
};

}  // namespace brokerd
