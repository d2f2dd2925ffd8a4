#include <fmt/format.h>

#include <CLI/App.hpp>
#include <chrono>
#include <memory>

#include "cli/command_table.h"
#include "cli/output/printable.h"
#include "cli/session.h"

namespace brokerd::cli {
namespace {

struct Flags {
    std::string name;
    int timeout = 30;  ///< docker's default, in seconds
};

ExitStatus run(const Flags& flags, Session& session) {
    if (flags.name.empty()) return session.usage_error("a plugin's name is empty");
    if (flags.timeout < 0) return session.usage_error(fmt::format("negative timeout {} is invalid", flags.timeout));
    const auto done = session.managed().enable(flags.name, std::chrono::seconds{flags.timeout});
    if (!done) return session.failure(done.error());
    session.out.write(printable(flags.name) + '\n');
    return ExitStatus::success;
}

}  // namespace

Run enable_command(CLI::App& app) {
    auto flags = std::make_shared<Flags>();
    app.add_option("NAME", flags->name)->required();
    app.add_option("--timeout", flags->timeout);
    return [flags](Session& session) { return run(*flags, session); };
}

}  // namespace brokerd::cli
