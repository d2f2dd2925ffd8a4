#pragma once

#include <cstddef>
#include <string_view>

/// The form in which a plugin's output is kept where there is no journal, shared by those who write and read it: lines
/// of JSON, {"Time": RFC 3339 with nanoseconds, "Stream": "stdout"|"stderr", "Message": …}, and "Partial": true where
/// the line went on. `current` is appended to; once it is full it becomes `previous`, whose lines are then forgotten.
namespace brokerd::log_files {

inline constexpr std::string_view kCurrent = "current";
inline constexpr std::string_view kPrevious = "previous";

/// Ours: enough for some thousand lines, and for a thousand plugins still only 2 GiB.
inline constexpr std::size_t kMaxFileBytes = std::size_t{1} << 20;
/// Ours, as other engines have it: a longer line is kept in parts.
inline constexpr std::size_t kMaxMessageBytes = std::size_t{16} << 10;
/// A line in a file: each byte of a message may need six ("\u0001"); and what is around it.
inline constexpr std::size_t kMaxLineBytes = 6 * kMaxMessageBytes + 256;

}  // namespace brokerd::log_files
