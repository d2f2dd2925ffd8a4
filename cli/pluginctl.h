#pragma once

#include <span>
#include <string>

#include "cli/exit_status.h"
#include "cli/output/output.h"

namespace brokerd::cli {

/// What the process was started with; descriptors are borrowed.
struct Invocation {
    std::span<const char* const> arguments;  ///< without the program's name
    std::string host;                        ///< BROKERD_HOST, may be empty
    int input_fd = 0;
    Output& out;
    Output& err;
    std::string docker_config = {};  ///< the directory of Docker's config.json, empty for none
};

/// Reads the arguments, runs the command and writes everything out. SIGPIPE is to be ignored.
[[nodiscard]] ExitStatus run_pluginctl(const Invocation& invocation);

}  // namespace brokerd::cli
