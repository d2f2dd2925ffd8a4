#include "cli/output/table.h"

#include <algorithm>

#include "cli/output/printable.h"

namespace brokerd::cli {
namespace {

constexpr std::size_t kGap = 3;

std::vector<std::size_t> column_widths(const std::vector<std::vector<std::string>>& rows) {
    std::vector<std::size_t> widths;
    for (const auto& row : rows) {
        widths.resize(std::max(widths.size(), row.size()));
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
    }
    return widths;
}

}  // namespace

std::string aligned(const std::vector<std::vector<std::string>>& rows, const Painter& paint) {
    const std::vector<std::size_t> widths = column_widths(rows);
    std::string out;
    for (const auto& row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i) {
            out += paint && &row != &rows.front() ? paint(i, row[i]) : row[i];
            if (i + 1 < row.size()) out.append(widths[i] + kGap - width(row[i]), ' ');
        }
        out += '\n';
    }
    return out;
}

std::vector<std::string> cells(const std::string& line) {
    std::vector<std::string> out;
    for (std::size_t start = 0; start <= line.size();) {
        const std::size_t end = std::min(line.find('\t', start), line.size());
        out.push_back(line.substr(start, end - start));
        start = end + 1;
    }
    return out;
}

}  // namespace brokerd::cli
