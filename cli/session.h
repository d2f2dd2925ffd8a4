#pragma once

#include <string>
#include <string_view>

#include "cli/exit_status.h"
#include "cli/output/output.h"
#include "common/client.h"
#include "common/managed_client.h"

namespace brokerd::cli {

class Interrupt;

/// What a command works with: the daemon, and where it reads and writes. Borrows the outputs.
class Session {
public:
    struct Surroundings {
        std::string_view command;
        ControlHost host;
        std::string docker_config;  ///< the directory of Docker's config.json, may be empty
        int input_fd;
        Output& out;
        Output& err;
    };

    explicit Session(const Surroundings& around)
        : out{around.out},
          input_fd{around.input_fd},
          client_{around.host},
          managed_{around.host},
          docker_config_{around.docker_config},
          command_{around.command},
          err_{around.err} {}

    [[nodiscard]] const ControlClient& client() const noexcept { return client_; }
    [[nodiscard]] const ManagedClient& managed() const noexcept { return managed_; }

    /// The value of X-Registry-Auth for the registry `domain`, empty for none; warns where there is trouble with it.
    [[nodiscard]] std::string registry_auth(std::string_view domain);

    /// Reports on stderr, in one line and printable, and says with which status the command then ends. `message`: what
    /// failed, why, what to do.
    ExitStatus failure(std::string_view message);
    ExitStatus failure(const ClientError& error);
    /// The same, for work that `interrupt` may have ended: then without a word and with the signal's status.
    ExitStatus failure(const ClientError& error, Interrupt& interrupt);
    /// The same for wrong arguments; adds where to read about the right ones.
    ExitStatus usage_error(std::string_view message);
    /// Reports trouble that does not end the command.
    void warning(std::string_view message);

    /// stderr, for what is no error: another's output.
    [[nodiscard]] Output& err() noexcept { return err_; }

    Output& out;
    const int input_fd;

private:
    ControlClient client_;
    ManagedClient managed_;
    std::string docker_config_;
    std::string_view command_;
    Output& err_;
};

}  // namespace brokerd::cli
