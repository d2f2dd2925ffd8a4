#pragma once

#include <chrono>

#include "common/os/unique_fd.h"
#include "common/result.h"
#include "daemon/shim/shim_files.h"

namespace brokerd {

/// A pidfd of exactly this process, or none where it is no more (or has ended and nobody is left to read it). The
/// error, errno's: it cannot be had, and the process may be there. Any thread.
[[nodiscard]] Result<UniqueFd, int> open_process(const ProcessIdentity& process);

/// False: it no longer exists, or cannot be sent one.
bool send_signal(const UniqueFd& process, int signal) noexcept;
[[nodiscard]] bool has_ended(const UniqueFd& process) noexcept;
/// Waits for its end; false: it has not ended in that time.
[[nodiscard]] bool wait_for_end(const UniqueFd& process, std::chrono::milliseconds limit) noexcept;

}  // namespace brokerd
