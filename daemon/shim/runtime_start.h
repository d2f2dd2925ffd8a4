#pragma once

#include <chrono>
#include <string>

#include "common/os/unique_fd.h"
#include "common/result.h"
#include "daemon/shim/shim_files.h"
#include "daemon/shim/shim_order.h"

namespace brokerd {

/// A plugin's first process, a child of this process that has not been reaped, and the reading ends of the pipes that
/// are its stdout and stderr. They do not block.
struct StartedPlugin {
    ProcessIdentity process;
    UniqueFd standard_output;
    UniqueFd standard_error;
};

/// Lets the OCI runtime start the plugin (`run --detach`), and waits for that: at most `limit`, then the runtime is
/// killed. The error is a sentence for the operator; all children are killed then, but what the runtime keeps about the
/// container is still there. `bundle`: its directory, open. Precondition: this process is the subreaper (prctl(2)) of
/// what it starts, notices its children (notice_children()), and reaps nothing meanwhile.
[[nodiscard]] Result<StartedPlugin> start_plugin(const ShimOrder& order, int bundle, std::chrono::milliseconds limit);

}  // namespace brokerd
