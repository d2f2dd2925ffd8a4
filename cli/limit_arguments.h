#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

/// Limits of a plugin as people write them, in the notation of `docker run`.
namespace brokerd::cli {

/// "64m", "1.5GiB", "67108864": bytes, with docker's suffixes (b, k, m, g, t, p, each 1024 times the one before; "b" or
/// "ib" may follow). Nothing where it is no size.
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text);

/// "0.5", "2": processors, in billionths. Nothing where it is no such number or needs more than nine decimals.
[[nodiscard]] std::optional<std::uint64_t> parse_processors(std::string_view text);

/// "100". Nothing where it is no whole number.
[[nodiscard]] std::optional<std::uint64_t> parse_count(std::string_view text);

}  // namespace brokerd::cli
