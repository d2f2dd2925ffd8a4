#include <fmt/format.h>

#include <CLI/App.hpp>
#include <memory>

#include "cli/command_table.h"
#include "cli/limit_arguments.h"
#include "cli/plugin_arguments.h"
#include "cli/session.h"

namespace brokerd::cli {
namespace {

struct Flags {
    std::string name;
    std::vector<std::string> settings;
    // As they were written; no value: not given.
    std::optional<std::string> memory;
    std::optional<std::string> processors;
    std::optional<std::string> pids;
};

/// What the flags ask for, or what is wrong with them.
Result<LimitsChange> limits_of(const Flags& flags) {
    LimitsChange change;
    if (flags.memory) change.memory = parse_size(*flags.memory);
    if (flags.memory && !change.memory) return fail(fmt::format("--memory {} is no size like 64m", *flags.memory));
    if (flags.processors) change.nano_cpus = parse_processors(*flags.processors);
    if (flags.processors && !change.nano_cpus) {
        return fail(fmt::format("--cpus {} is no number of processors like 0.5", *flags.processors));
    }
    if (flags.pids) change.pids = parse_count(*flags.pids);
    if (flags.pids && !change.pids) return fail(fmt::format("--pids {} is no whole number", *flags.pids));
    return change;
}

ExitStatus run(const Flags& flags, Session& session) {
    if (flags.name.empty()) return session.usage_error("the plugin's name is empty");
    const auto limits = limits_of(flags);
    if (!limits) return session.usage_error(limits.error().message);
    if (flags.settings.empty() && limits->none()) {
        return session.usage_error("nothing to set: give KEY=VALUE, --memory, --cpus or --pids");
    }
    if (const auto problem = settings_problem(flags.settings)) return session.usage_error(*problem);
    // Without a limit the call is Docker's, which a dockerd understands too.
    const auto done = limits->none() ? session.managed().set(flags.name, flags.settings)
                                     : session.managed().set(flags.name, flags.settings, *limits);
    return done ? ExitStatus::success : session.failure(done.error());
}

}  // namespace

Run set_command(CLI::App& app) {
    auto flags = std::make_shared<Flags>();
    app.add_option("NAME", flags->name)->required();
    app.add_option("SETTING", flags->settings);
    app.add_option("-m,--memory", flags->memory);
    app.add_option("--cpus", flags->processors);
    app.add_option("--pids", flags->pids);
    return [flags](Session& session) { return run(*flags, session); };
}

}  // namespace brokerd::cli
