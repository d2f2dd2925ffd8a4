#include "daemon/logs/since.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <string>

#include "common/plugin_view.h"

namespace brokerd {
namespace {

using Time = std::chrono::system_clock::time_point;
using std::chrono::nanoseconds;

constexpr std::int64_t kSecond = 1'000'000'000;
/// What the clock can count, from 1970 as from now into the past: to the year 2262, and 292 years.
constexpr std::int64_t kLongest = std::numeric_limits<std::int64_t>::max();

/// Reads "12" or "12.5" and takes it off `text`; in units of `unit` nanoseconds, and at most kLongest.
std::optional<std::int64_t> take_decimal(std::string_view& text, std::int64_t unit) {
    std::int64_t whole = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), whole);
    if (problem != std::errc{} || whole < 0) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    std::int64_t fraction = 0;
    if (text.starts_with('.')) {
        text.remove_prefix(1);
        for (std::int64_t digit = unit / 10; !text.empty() && text[0] >= '0' && text[0] <= '9'; digit /= 10) {
            fraction += digit * (text[0] - '0');
            text.remove_prefix(1);
        }
    }
    return whole > (kLongest - fraction) / unit ? kLongest : whole * unit + fraction;
}

std::optional<std::int64_t> take_unit(std::string_view& text) {
    struct Unit {
        std::string_view name;
        std::int64_t nanoseconds;
    };
    // The longer names first: "ms" is no "m".
    constexpr Unit kUnits[] = {{"ns", 1},      {"us", 1'000},       {"\xC2\xB5s", 1'000}, {"ms", 1'000'000},
                               {"s", kSecond}, {"m", 60 * kSecond}, {"h", 3600 * kSecond}};
    for (const Unit& unit : kUnits) {
        if (!text.starts_with(unit.name)) continue;
        text.remove_prefix(unit.name.size());
        return unit.nanoseconds;
    }
    return std::nullopt;
}

/// Go's time.ParseDuration: "1h30m", "1.5h".
std::optional<nanoseconds> parse_duration(std::string_view text) {
    std::int64_t total = 0;
    while (!text.empty()) {
        std::string_view rest = text;
        if (!take_decimal(rest, 1)) return std::nullopt;
        const auto unit = take_unit(rest);
        if (!unit) return std::nullopt;
        const auto value = take_decimal(text, *unit);
        if (!value || *value == kLongest || *value > kLongest - total) return std::nullopt;
        total += *value;
        text = rest;
    }
    return nanoseconds{total};
}

/// "+02:00" at the end, as what is to be taken off; "Z" and nothing are none.
std::optional<nanoseconds> take_offset(std::string& text) {
    if (text.ends_with('Z')) {
        text.pop_back();
        return nanoseconds{0};
    }
    constexpr std::size_t kSize = 6;
    if (text.size() < kSize || text[text.size() - 3] != ':') return nanoseconds{0};
    const std::string offset = text.substr(text.size() - kSize);
    if (offset[0] != '+' && offset[0] != '-') return nanoseconds{0};
    int hours = 0;
    int minutes = 0;
    const auto number = [&](std::size_t at, int& value) {
        const auto [end, problem] = std::from_chars(&offset[at], &offset[at] + 2, value);
        return problem == std::errc{} && end == &offset[at] + 2 && value >= 0;
    };
    if (!number(1, hours) || !number(4, minutes) || hours > 23 || minutes > 59) return std::nullopt;
    text.resize(text.size() - kSize);
    const nanoseconds east = std::chrono::hours{hours} + std::chrono::minutes{minutes};
    return offset[0] == '+' ? east : -east;
}

std::optional<Time> parse_date(std::string text) {
    /// The last one of which every day can be counted; what is later is the end of time.
    constexpr std::string_view kLastYear = "2261";
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    const auto offset = take_offset(text);
    if (!offset) return std::nullopt;
    // What is left out at the end is zero.
    constexpr std::string_view kRest = "0000-00-00T00:00:00";
    if (text.size() < 10) return std::nullopt;
    if (text.size() < kRest.size()) text += kRest.substr(text.size());
    const bool is_countable = text.substr(0, 4) <= kLastYear;
    if (!is_countable && std::all_of(text.begin(), text.begin() + 4, is_digit)) text.replace(0, 4, kLastYear);
    const Time time = parse_time(text + 'Z');
    if (time == Time{}) return std::nullopt;
    return is_countable ? time - *offset : Time::max();
}

}  // namespace

std::optional<Time> parse_since(std::string_view text, Time now) {
    if (text.empty() || text.size() > 64) return std::nullopt;
    std::string_view rest = text;
    if (const auto seconds = take_decimal(rest, kSecond); seconds && rest.empty()) {
        return Time{std::chrono::duration_cast<Time::duration>(nanoseconds{*seconds})};
    }
    if (const auto ago = parse_duration(text)) return now - *ago;
    return parse_date(std::string{text});
}

}  // namespace brokerd
