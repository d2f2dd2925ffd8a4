#include "cli/session.h"

#include <fmt/format.h>

#include "cli/output/printable.h"

namespace brokerd::cli {

ExitStatus Session::failure(std::string_view message) {
    err_.write(fmt::format("pluginctl {}: {}\n", command_, printable(message)));
    return ExitStatus::failed;
}

ExitStatus Session::failure(const ClientError& error) {
    failure(error.message);
    return error.kind == ClientError::Kind::no_daemon ? ExitStatus::no_daemon : ExitStatus::failed;
}

ExitStatus Session::usage_error(std::string_view message) {
    failure(fmt::format("{}; see: pluginctl {} --help", message, command_));
    return ExitStatus::usage;
}

}  // namespace brokerd::cli
