#pragma once

#include <chrono>
#include <string>

#include "common/os/unique_fd.h"
#include "common/result.h"
#include "daemon/runtime/cancellation.h"
#include "daemon/shim/shim_files.h"
#include "daemon/shim/shim_order.h"

namespace brokerd {

/// What a shim has started.
struct ShimStarted {
    UniqueFd shim;           ///< pidfd of the shim, a child of this process that is to be reaped
    ProcessIdentity plugin;  ///< the plugin's first process, which may have ended by now
};

/// Why nothing was started, or nothing is known to have been.
struct ShimFailure {
    std::string message;
    /// It was given up because brokerd stops: the shim goes on, and so may the plugin; the next brokerd adopts it.
    bool left_alone = false;
};

/// Starts `program` (brokerd-shim) and waits for its report, at most for `limit`. `lock` is the bundle's lock, locked
/// and borrowed: the shim keeps it from now on. After a failure the shim, and the OCI runtime that it may have waited
/// for, are gone, unless it was left alone; what the runtime has made is the caller's to remove.
/// Thread: any that may wait.
[[nodiscard]] Result<ShimStarted, ShimFailure> start_shim(const std::string& program, const ShimOrder& order,
                                                          const UniqueFd& lock, std::chrono::milliseconds limit,
                                                          const Cancellation& cancellation);

}  // namespace brokerd
