#pragma once

#include <chrono>
#include <string>

namespace brokerd {

/// For people: "0.2 s", "34 s", "5 min", "3 h", "12 days".
[[nodiscard]] std::string duration_text(std::chrono::milliseconds span);

}  // namespace brokerd
