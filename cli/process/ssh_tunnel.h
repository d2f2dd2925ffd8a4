#pragma once

#include "cli/process/ssh_address.h"
#include "common/control_host.h"

namespace brokerd::cli {

/// `ssh HOST pluginctl dial-stdio` for each connection. ssh asks a person for passwords on the terminal, as ever; what
/// it writes to stderr is kept for complaint(). Thread: any.
class SshTunnel : public Tunnel {
public:
    explicit SshTunnel(SshAddress address) : address_{std::move(address)} {}

    [[nodiscard]] Result<std::unique_ptr<Connection>> open() const override;

private:
    SshAddress address_;
};

}  // namespace brokerd::cli
