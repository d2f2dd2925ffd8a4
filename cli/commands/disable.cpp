#include <CLI/App.hpp>
#include <memory>

#include "cli/command_table.h"
#include "cli/output/printable.h"
#include "cli/session.h"

namespace brokerd::cli {
namespace {

struct Flags {
    std::string name;
    bool force = false;
};

ExitStatus run(const Flags& flags, Session& session) {
    if (flags.name.empty()) return session.usage_error("a plugin's name is empty");
    const auto done = session.managed().disable(flags.name, flags.force);
    if (!done) return session.failure(done.error());
    session.out.write(printable(flags.name) + '\n');
    return ExitStatus::success;
}

}  // namespace

Run disable_command(CLI::App& app) {
    auto flags = std::make_shared<Flags>();
    app.add_option("NAME", flags->name)->required();
    app.add_flag("-f,--force", flags->force);
    return [flags](Session& session) { return run(*flags, session); };
}

}  // namespace brokerd::cli
