#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace brokerd {

/// "a", "a and b", "a, b and c"; beyond `limit` items "a, b and 7 more". Empty where there are none. Any thread.
[[nodiscard]] std::string enumeration(const std::vector<std::string>& items, std::size_t limit = 5);

}  // namespace brokerd
