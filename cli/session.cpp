#include "cli/session.h"

#include <fmt/format.h>

#include "cli/output/printable.h"
#include "cli/process/interrupt.h"
#include "cli/registry/credentials.h"

namespace brokerd::cli {

std::string Session::registry_auth(std::string_view domain) {
    RegistryAuth auth = cli::registry_auth(docker_config_, domain);
    if (!auth.warning.empty()) warning(auth.warning);
    return std::move(auth.header);
}

ExitStatus Session::failure(std::string_view message) {
    err_.write(fmt::format("pluginctl {}: {}\n", command_, printable(message)));
    return ExitStatus::failed;
}

ExitStatus Session::failure(const ClientError& error) {
    failure(error.message);
    return error.kind == ClientError::Kind::no_daemon ? ExitStatus::no_daemon : ExitStatus::failed;
}

ExitStatus Session::failure(const ClientError& error, Interrupt& interrupt) {
    if (error.kind != ClientError::Kind::interrupted) return failure(error);
    return interrupt.take().value_or(ExitStatus::interrupted);
}

ExitStatus Session::usage_error(std::string_view message) {
    failure(fmt::format("{}; see: pluginctl {} --help", message, command_));
    return ExitStatus::usage;
}

void Session::warning(std::string_view message) {
    err_.write(fmt::format("pluginctl {}: warning: {}\n", command_, printable(message)));
    err_.flush();
}

}  // namespace brokerd::cli
