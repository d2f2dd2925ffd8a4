#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "common/result.h"
#include "daemon/runtime/cancellation.h"

namespace brokerd {

struct CommandOutcome {
    bool exited = false;  ///< by itself, with `status`; else it was killed by the signal `status`
    int status = 0;
    std::string output;  ///< stdout, at most kMaxCommandOutput bytes; more is thrown away
    std::string errors;  ///< the end of stderr, at most kMaxCommandErrors bytes

    [[nodiscard]] bool succeeded() const noexcept { return exited && status == 0; }
};

/// Ours: an answer of an OCI runtime is a few kilobytes (`features` of runc 1.1: 30).
inline constexpr std::size_t kMaxCommandOutput = std::size_t{1} << 20;
inline constexpr std::size_t kMaxCommandErrors = std::size_t{4} << 10;

/// Runs a program to its end: `arguments` begin with its path, its standard input is empty, its environment is PATH
/// alone. The error is one sentence, for a program that could not be started, took longer than `deadline` (then it, and
/// what it has started in its process group, is killed), or had to be given up. Thread: any that may wait.
[[nodiscard]] Result<CommandOutcome> run_command(const std::vector<std::string>& arguments,
                                                 std::chrono::milliseconds deadline, const Cancellation& cancellation);

}  // namespace brokerd
