#include "common/duration_text.h"

#include <fmt/format.h>

namespace brokerd {

std::string duration_text(std::chrono::milliseconds span) {
    const auto seconds = static_cast<double>(span.count()) / 1000;
    if (seconds < 10) return fmt::format("{:.2g} s", seconds);
    if (seconds < 120) return fmt::format("{:.0f} s", seconds);
    if (seconds < 2 * 3600) return fmt::format("{:.0f} min", seconds / 60);
    if (seconds < 48 * 3600) return fmt::format("{:.0f} h", seconds / 3600);
    return fmt::format("{:.0f} days", seconds / 86400);
}

}  // namespace brokerd
