#include "cli/output/units.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <string_view>

namespace brokerd::cli {
namespace {

/// `value` with three significant digits, no zeros behind the point.
std::string three_digits(double value) {
    // %g would write 1000 as 1e+03; what rounds to four digits has them.
    return value < 999.5 ? fmt::format("{:.3g}", value) : fmt::format("{:.0f}", value);
}

/// In the first of `units`, each a thousand of the one before, in which it has at most three digits before the point.
std::string scaled(double value, std::span<const std::string_view> units) {
    std::size_t unit = 0;
    while (value >= 999.5 && unit + 1 < units.size()) {
        value /= 1000;
        ++unit;
    }
    return fmt::format("{}{}", three_digits(value), units[unit]);
}

}  // namespace

std::string human_duration(std::chrono::nanoseconds duration) {
    static constexpr std::array<std::string_view, 4> kUnits{"ns", "µs", "ms", "s"};
    if (duration.count() <= 0) return "-";
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration).count();
    if (seconds >= 60) return fmt::format("{}m{:02}s", seconds / 60, seconds % 60);
    return scaled(static_cast<double>(duration.count()), kUnits);
}

std::string human_bytes(std::uint64_t bytes) {
    static constexpr std::array<std::string_view, 7> kUnits{"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    return scaled(static_cast<double>(bytes), kUnits);
}

std::string human_rate(double per_second) {
    static constexpr std::array<std::string_view, 3> kUnits{"", "k", "M"};
    // Less than a hundredth is shown as none: 1e-05 helps nobody.
    return per_second < 0.005 ? "0" : scaled(std::round(per_second * 100) / 100, kUnits);
}

}  // namespace brokerd::cli
