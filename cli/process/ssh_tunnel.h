#pragma once

#include "cli/process/ssh_address.h"
#include "common/control_host.h"

namespace brokerd::cli {

/// `ssh HOST pluginctl dial-stdio` for each connection. ssh asks a person for passwords on the terminal, as ever,
/// unless it is used for completion; what it writes to stderr is kept for complaint(). SIGINT and SIGTERM wait for
/// ssh's end where it may be asking: the terminal is then as it was. Thread: the process's first, for signals and the
/// child.
class SshTunnel : public Tunnel {
public:
    SshTunnel(SshAddress address, SshUse use) : address_{std::move(address)}, use_{use} {}

    [[nodiscard]] Result<std::unique_ptr<Connection>> open() const override;
    [[nodiscard]] std::chrono::milliseconds time_for(std::chrono::milliseconds time) const override;

private:
    SshAddress address_;
    SshUse use_;
};

}  // namespace brokerd::cli
