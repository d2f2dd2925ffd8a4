#pragma once

#include <cstddef>

namespace brokerd::cli {

struct TerminalSize {
    std::size_t rows = 24;
    std::size_t columns = 80;
};

/// Of the terminal at a borrowed descriptor; the classic size where it does not tell.
[[nodiscard]] TerminalSize terminal_size(int terminal);

}  // namespace brokerd::cli
