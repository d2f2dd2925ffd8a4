#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "cli/output/output.h"
#include "common/managed_client.h"

namespace brokerd::cli {

/// Shows what the daemon reports while it works. On a terminal: one line for each id, a layer mostly, with a bar where
/// bytes are counted, redrawn in place at most 15 times a second, never wider than the terminal and never higher.
/// Elsewhere: a line for each change, without the counting, as docker prints it.
/// What is shown is bounded and printable, whatever the daemon sends. Borrows the output. Thread: one.
class ProgressView {
public:
    using Clock = std::chrono::steady_clock;

    explicit ProgressView(Output& out) noexcept : out_{out}, in_place_{out.is_terminal()} {}

    void show(const ProgressMessage& message, Clock::time_point now = Clock::now());
    /// Draws the last state; what is written next comes below it.
    void finish();

private:
    struct Line {
        std::string id;
        std::string status;
        std::uint64_t current = 0;
        std::uint64_t total = 0;
        std::uint64_t changed = 0;  ///< the number of the message that changed it
    };

    /// The line of an id, made where there is none; nullptr where there are too many.
    Line* line_of(const std::string& id);
    void print(const ProgressMessage& message);
    void draw();
    /// Indexes of the lines that there is room for: those that changed last, in their order.
    [[nodiscard]] std::vector<std::size_t> chosen(std::size_t room) const;

    Output& out_;
    const bool in_place_;
    std::vector<Line> lines_;
    std::unordered_map<std::string, std::size_t> index_;
    std::string above_;      ///< lines without an id, to go above the others
    std::size_t drawn_ = 0;  ///< lines of the picture that is on the terminal
    std::uint64_t messages_ = 0;
    bool fresh_ = true;  ///< the picture shows everything
    Clock::time_point last_{};
};

}  // namespace brokerd::cli
