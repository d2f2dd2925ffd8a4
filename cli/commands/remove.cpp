#include <CLI/App.hpp>
#include <algorithm>
#include <memory>

#include "cli/command_table.h"
#include "cli/output/printable.h"
#include "cli/session.h"

namespace brokerd::cli {
namespace {

struct Flags {
    std::vector<std::string> names;
    bool force = false;
};

ExitStatus run(const Flags& flags, Session& session) {
    // An empty name in the path would be another request, and none may be removed before all are known to be names.
    const auto empty = [](const std::string& name) { return name.empty(); };
    if (std::any_of(flags.names.begin(), flags.names.end(), empty)) {
        return session.usage_error("a plugin's name is empty");
    }
    ExitStatus status = ExitStatus::success;
    for (const std::string& name : flags.names) {
        const auto done = session.managed().remove(name, flags.force);
        if (done) {
            session.out.write(printable(name) + '\n');
            continue;
        }
        status = session.failure(done.error());
        if (status == ExitStatus::no_daemon) return status;  // it would be so for every other name
    }
    return status;
}

}  // namespace

Run remove_command(CLI::App& app) {
    auto flags = std::make_shared<Flags>();
    app.add_option("NAME", flags->names)->required();
    app.add_flag("-f,--force", flags->force);
    return [flags](Session& session) { return run(*flags, session); };
}

}  // namespace brokerd::cli
