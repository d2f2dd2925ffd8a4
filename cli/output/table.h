#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace brokerd::cli {

/// What is written in place of a cell: the same text, with colours.
using Painter = std::function<std::string(std::size_t column, const std::string& cell)>;

/// Rows of printable cells as lines of aligned columns, three blanks apart. The first row is the heading, which is
/// never painted.
[[nodiscard]] std::string aligned(const std::vector<std::vector<std::string>>& rows, const Painter& paint = {});

/// `line` cut at its tabs.
[[nodiscard]] std::vector<std::string> cells(const std::string& line);

}  // namespace brokerd::cli
