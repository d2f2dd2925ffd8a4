#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace brokerd::cli {

/// Three digits and a unit, as people compare them: "85µs", "1.25ms", "12.5s", "3m20s"; "-" for none.
[[nodiscard]] std::string human_duration(std::chrono::nanoseconds duration);
/// The same for bytes, decimal as docker writes them: "512B", "1.25kB", "12.5MB".
[[nodiscard]] std::string human_bytes(std::uint64_t bytes);
/// The same for a rate: "0", "0.25", "12.5", "87.5k".
[[nodiscard]] std::string human_rate(double per_second);

}  // namespace brokerd::cli
