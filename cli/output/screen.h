#pragma once

#include <chrono>
#include <string>

#include "cli/output/output.h"

namespace brokerd::cli {

/// A text that is shown again and again: one below the other, or `in_place` where that is a terminal. Borrows the
/// output.
class Screen {
public:
    Screen(Output& out, bool in_place) noexcept : out_{out}, in_place_{in_place && out.is_terminal()} {}

    /// Shows lines; in place only as many as the terminal has room for. False when nobody reads any more.
    bool show(const std::string& lines);
    /// Returns false as soon as nobody reads the output any more, else true after `time`.
    [[nodiscard]] bool wait(std::chrono::milliseconds time) const;

private:
    Output& out_;
    const bool in_place_;
    bool first_ = true;
};

}  // namespace brokerd::cli
