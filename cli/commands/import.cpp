#include <fmt/format.h>

#include <CLI/App.hpp>
#include <memory>

#include "cli/command_table.h"
#include "cli/output/printable.h"
#include "cli/transfer.h"

namespace brokerd::cli {
namespace {

struct Flags {
    std::string path = "/var/lib/docker/plugins";  // dockerd's data root, where nobody moved it
};

ExitStatus run(const Flags& flags, Session& session) {
    if (flags.path.substr(0, 1) != "/") {
        return session.usage_error(
            fmt::format("\"{}\" is not an absolute path; brokerd reads it, not pluginctl", flags.path));
    }
    Transfer transfer{session};
    const auto done =
        transfer.ended(session.managed().import(flags.path, transfer.progress(), transfer.interrupt_fd()));
    if (!done) return transfer.failure(done.error());
    for (const std::string& name : done->imported) {
        session.out.write(fmt::format("Imported plugin {}\n", printable(name)));
    }
    for (const auto& skipped : done->skipped) {
        session.out.write(fmt::format("Skipped plugin {}: {}\n", printable(skipped.name), printable(skipped.reason)));
    }
    if (done->imported.empty() && done->skipped.empty()) {
        session.out.write(fmt::format("There are no plugins in {}\n", printable(flags.path)));
    }
    return ExitStatus::success;
}

}  // namespace

Run import_command(CLI::App& app) {
    auto flags = std::make_shared<Flags>();
    app.add_option("PATH", flags->path);
    return [flags](Session& session) { return run(*flags, session); };
}

}  // namespace brokerd::cli
