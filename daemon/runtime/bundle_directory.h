#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "common/os/unique_fd.h"
#include "common/result.h"
#include "daemon/runtime/cancellation.h"
#include "daemon/shim/shim_files.h"

/// The directory of a plugin's run (see daemon/shim/shim_files.h), as brokerd makes, locks and reads it. No directory
/// or file of it is ever reached through a symbolic link. Errors are one sentence. Thread: any that may wait.
namespace brokerd {

/// Makes a directory of ours with its parents; they are 0700 where they are made.
[[nodiscard]] Result<bool> make_private_directories(const std::string& path);
[[nodiscard]] Result<UniqueFd> open_directory(const std::string& path);

/// Opens the lock, which is made where it is missing. Not locked yet.
[[nodiscard]] Result<UniqueFd> open_lock(const std::string& path);
/// Takes it without waiting; false: a shim lives.
[[nodiscard]] bool try_lock(const UniqueFd& lock) noexcept;

enum class BundleState { running, ended, unclear };

/// Waits, at most for `limit`, until the shim has written `running`, or has ended: then `lock` is locked. `unclear`
/// after that time, or when it is cancelled.
[[nodiscard]] BundleState await_running(const std::string& bundle, const UniqueFd& lock,
                                        std::chrono::milliseconds limit, const Cancellation& cancellation);

}  // namespace brokerd
