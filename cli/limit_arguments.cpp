#include "cli/limit_arguments.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>

namespace brokerd::cli {
namespace {

/// Beyond any host, and exactly representable; the daemon has the real bounds.
constexpr double kMost = 9007199254740992.0 * 1024;  // 2^63

/// A decimal number without sign or exponent, cut off from the front of `text`.
std::optional<double> take_number(std::string_view& text) {
    const std::size_t length = std::min(text.find_first_not_of("0123456789."), text.size());
    double value = 0;
    const char* const end = text.data() + length;
    const auto [rest, error] = std::from_chars(text.data(), end, value, std::chars_format::fixed);
    if (length == 0 || error != std::errc{} || rest != end || value >= kMost) return std::nullopt;
    text.remove_prefix(length);
    return value;
}

}  // namespace

std::optional<std::uint64_t> parse_size(std::string_view text) {
    const auto number = take_number(text);
    if (!number) return std::nullopt;
    if (text.starts_with(' ')) text.remove_prefix(1);
    std::string unit{text};
    std::transform(unit.begin(), unit.end(), unit.begin(), [](char letter) {
        return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter + 32) : letter;
    });
    constexpr std::string_view kUnits = "bkmgtp";
    const std::size_t power = unit.empty() ? 0 : kUnits.find(unit.front());
    if (power == kUnits.npos) return std::nullopt;
    const std::string_view rest = std::string_view{unit}.substr(std::min<std::size_t>(1, unit.size()));
    if (!rest.empty() && (power == 0 || (rest != "b" && rest != "ib"))) return std::nullopt;
    const double bytes = *number * std::pow(1024.0, static_cast<double>(power));
    if (bytes >= kMost) return std::nullopt;
    return static_cast<std::uint64_t>(bytes);
}

std::optional<std::uint64_t> parse_processors(std::string_view text) {
    constexpr std::size_t kDecimals = 9;
    const std::size_t point = std::min(text.find('.'), text.size());
    std::string digits{text.substr(0, point)};
    std::string decimals{text.substr(std::min(point + 1, text.size()))};
    if (digits.empty() && decimals.empty()) return std::nullopt;
    while (decimals.size() > kDecimals && decimals.back() == '0') decimals.pop_back();
    if (decimals.size() > kDecimals) return std::nullopt;
    decimals.resize(kDecimals, '0');
    return parse_count(digits + decimals);
}

std::optional<std::uint64_t> parse_count(std::string_view text) {
    std::uint64_t count = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, count);
    if (text.empty() || error != std::errc{} || rest != end) return std::nullopt;
    return count;
}

}  // namespace brokerd::cli
