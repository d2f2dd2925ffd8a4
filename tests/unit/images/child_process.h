#pragma once

#include <functional>
#include <initializer_list>
#include <optional>
#include <string>

namespace brokerd::test {

/// Runs `work` in a child process and returns the text that it returned; an error where the child died of it.
/// Precondition: the caller has no other threads.
[[nodiscard]] std::string in_child(const std::function<std::string()>& work);

/// From now on these system calls fail with `code` in this process: for children only, as it cannot be undone.
/// Throws where the kernel has no seccomp filters.
void let_fail(std::initializer_list<long> system_calls, int code);

enum class KillResult { killed, finished, not_traceable };
/// Runs `work` in a child process that is killed with SIGKILL at its `stop`-th stop: each system call has two, one
/// before it happens and one after. `finished` where it had fewer.
[[nodiscard]] KillResult kill_at(unsigned stop, const std::function<void()>& work);

}  // namespace brokerd::test
