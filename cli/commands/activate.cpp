#include <CLI/App.hpp>
#include <memory>

#include "cli/command_table.h"
#include "cli/output/printable.h"
#include "cli/session.h"

namespace brokerd::cli {
namespace {

struct Flags {
    std::string name;
    unsigned timeout_seconds = 30;  // Docker Plugin API, "Plugin retries"
};

ExitStatus run(const Flags& flags, Session& session) {
    if (flags.name.empty()) return session.usage_error("the plugin's name is empty");
    const auto plugin = session.client().activate(flags.name, std::chrono::seconds{flags.timeout_seconds});
    if (!plugin) return session.failure(plugin.error());
    session.out.write(printable(flags.name) + '\n');  // as `docker plugin enable` does
    return ExitStatus::success;
}

}  // namespace

Run activate_command(CLI::App& app) {
    auto flags = std::make_shared<Flags>();
    app.add_option("NAME", flags->name)->required();
    app.add_option("--timeout", flags->timeout_seconds)->check(CLI::Range(1U, 300U));
    return [flags](Session& session) { return run(*flags, session); };
}

}  // namespace brokerd::cli
