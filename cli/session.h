#pragma once

#include <string_view>

#include "cli/exit_status.h"
#include "cli/output/output.h"
#include "common/client.h"

namespace brokerd::cli {

/// What a command works with: the daemon, and where it reads and writes. Borrows the outputs.
class Session {
public:
    Session(std::string_view command, ControlClient client, Output& output, Output& err, int input) noexcept
        : out{output}, input_fd{input}, client_{std::move(client)}, command_{command}, err_{err} {}

    [[nodiscard]] const ControlClient& client() const noexcept { return client_; }

    /// Reports on stderr, in one line and printable, and says with which status the command then ends. `message`: what
    /// failed, why, what to do.
    ExitStatus failure(std::string_view message);
    ExitStatus failure(const ClientError& error);
    /// The same for wrong arguments; adds where to read about the right ones.
    ExitStatus usage_error(std::string_view message);

    Output& out;
    const int input_fd;

private:
    ControlClient client_;
    std::string_view command_;
    Output& err_;
};

}  // namespace brokerd::cli
