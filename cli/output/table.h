#pragma once

#include <string>
#include <vector>

namespace brokerd::cli {

/// Rows of printable cells as lines of aligned columns, three blanks apart. The first row is the heading.
[[nodiscard]] std::string aligned(const std::vector<std::vector<std::string>>& rows);

/// `line` cut at its tabs.
[[nodiscard]] std::vector<std::string> cells(const std::string& line);

}  // namespace brokerd::cli
