#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace brokerd {

/// A time as `docker logs --since` takes it: RFC 3339 ("2026-07-28T12:00:00Z", with an offset, with less than all of
/// the time: "2026-07-28", taken as UTC), seconds since 1970 with a fraction or without ("1785240000.5"), or how long
/// before `now` in Go's form ("90s", "1h30m"). Nothing where it is neither. Times that the clock cannot count (beyond
/// the year 2261) are its last one.
[[nodiscard]] std::optional<std::chrono::system_clock::time_point> parse_since(
    std::string_view text, std::chrono::system_clock::time_point now);

}  // namespace brokerd
