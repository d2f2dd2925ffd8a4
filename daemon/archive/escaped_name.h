#pragma once

#include <string>
#include <string_view>

namespace brokerd {

/// A file's name as errors show it, in double quotes: bytes that are no printable ASCII, quotes and backslashes as
/// \xNN, and its middle cut out where it is long. Safe in a terminal, a log and JSON.
[[nodiscard]] std::string escaped_name(std::string_view name);

/// The same for text that an untrusted process wrote, without quotes: at most `limit` bytes of it.
[[nodiscard]] std::string escaped_text(std::string_view text, std::size_t limit);

}  // namespace brokerd
