#pragma once

#include <poll.h>
#include <sys/wait.h>

#include <chrono>
#include <optional>
#include <span>

namespace brokerd {

// The end of a child, waited for without a descriptor of its own (signalfd, pidfd): where none is left, whoever started
// the child would wait in vain, or for ever. Thread: the only one of its process.

/// From now on the end of a child is noticed by poll_or_child() and nowhere else: SIGCHLD is blocked.
void notice_children() noexcept;

/// As poll(2), and returns 0, with nothing in `fds` ready, when a child has ended meanwhile, or since the last time;
/// also now and then for no reason. No `limit`: it waits as long as that takes. Needs notice_children().
int poll_or_child(std::span<pollfd> fds, std::optional<std::chrono::milliseconds> limit) noexcept;

/// waitid(2), again where it is interrupted.
int wait_id(idtype_t type, id_t id, siginfo_t& how, int options) noexcept;

}  // namespace brokerd
