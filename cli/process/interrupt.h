#pragma once

#include <csignal>
#include <optional>

#include "cli/exit_status.h"
#include "common/os/unique_fd.h"

namespace brokerd::cli {

/// For as long as it lives, SIGINT and SIGTERM do not end the process but make fd() readable: for work that has to be
/// cleaned up, or that the daemon has to be told of. Only where no other thread takes signals.
class Interrupt {
public:
    Interrupt();
    Interrupt(const Interrupt&) = delete;
    Interrupt& operator=(const Interrupt&) = delete;
    /// A signal that came and that nobody asked about acts now.
    ~Interrupt();

    /// Ends its effect before its time: signals act as ever, also one that came already. fd() stays.
    void release() noexcept;

    /// -1 where there is no such descriptor to be had: then the signals act as ever.
    [[nodiscard]] int fd() const noexcept { return fd_.get(); }
    /// Takes the signal: how the process should end for it (128 and its number, as shells count).
    [[nodiscard]] std::optional<ExitStatus> take();

private:
    sigset_t before_{};
    bool holds_ = true;
    UniqueFd fd_;
};

}  // namespace brokerd::cli
