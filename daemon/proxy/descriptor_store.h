#pragma once

#include <string>

namespace brokerd {

/// systemd's descriptor store (sd_pid_notify_with_fds(3)): it keeps descriptors while brokerd restarts, however that
/// ended, and hands them to the next one. Without systemd both do nothing; what fails is logged. Thread: any.

/// The longest name that systemd takes.
inline constexpr std::size_t kMaxStoreName = 255;

/// Hands a duplicate of `descriptor` to the store.
void store_descriptor(const std::string& name, int descriptor);
/// Removes all that bears this name.
void remove_from_store(const std::string& name);

/// Whether there is a store, as systemd tells it from version 254 on, and brokerd.service before that.
[[nodiscard]] bool has_descriptor_store();

}  // namespace brokerd
