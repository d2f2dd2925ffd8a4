#include <CLI/App.hpp>
#include <memory>

#include "cli/command_table.h"
#include "cli/plugin_arguments.h"
#include "cli/session.h"

namespace brokerd::cli {
namespace {

struct Flags {
    std::string name;
    std::vector<std::string> settings;
};

ExitStatus run(const Flags& flags, Session& session) {
    if (flags.name.empty()) return session.usage_error("the plugin's name is empty");
    if (const auto problem = settings_problem(flags.settings)) return session.usage_error(*problem);
    const auto done = session.managed().set(flags.name, flags.settings);
    return done ? ExitStatus::success : session.failure(done.error());
}

}  // namespace

Run set_command(CLI::App& app) {
    auto flags = std::make_shared<Flags>();
    app.add_option("NAME", flags->name)->required();
    app.add_option("SETTING", flags->settings)->required();
    return [flags](Session& session) { return run(*flags, session); };
}

}  // namespace brokerd::cli
