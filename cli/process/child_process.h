#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/result.h"

namespace brokerd::cli {

/// A program that runs beside us and never longer than we do: asked to end (SIGTERM) where the process ends first,
/// whatever ends it; asked and, where that does not help, killed, and then reaped, with the object.
/// It starts with no signal blocked and with SIGPIPE's default action, whatever we have made of those.
/// Thread: the one that started it, which must live as long as the process: its end counts as ours.
class ChildProcess {
public:
    /// Descriptors for its standard streams, borrowed and none of them a standard stream itself; -1 is /dev/null.
    struct Wiring {
        int in = -1;
        int out = -1;
        int err = -1;
    };

    /// `arguments` begin with the program, which is looked up in PATH. The error names it.
    [[nodiscard]] static Result<ChildProcess> start(const std::vector<std::string>& arguments, Wiring wiring);

    ChildProcess(ChildProcess&& other) noexcept : pid_{std::exchange(other.pid_, 0)}, status_{other.status_} {}
    ChildProcess& operator=(ChildProcess&&) = delete;
    ChildProcess(const ChildProcess&) = delete;
    ChildProcess& operator=(const ChildProcess&) = delete;
    /// May wait: two seconds lie between asking and killing.
    ~ChildProcess();

    /// Waits for its end. Its exit status, or 128 and the signal that ended it.
    [[nodiscard]] int wait();
    /// The same, for so long at most; nothing where it still runs then.
    [[nodiscard]] std::optional<int> wait_for(std::chrono::milliseconds time);

private:
    explicit ChildProcess(pid_t pid) noexcept : pid_{pid} {}

    pid_t pid_;  ///< 0 once it is reaped; until then the number cannot become another process
    int status_ = 0;
};

}  // namespace brokerd::cli
