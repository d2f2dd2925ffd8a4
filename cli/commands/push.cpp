#include <CLI/App.hpp>
#include <memory>

#include "cli/command_table.h"
#include "cli/plugin_arguments.h"
#include "cli/transfer.h"

namespace brokerd::cli {
namespace {

struct Flags {
    std::string name;
    bool no_content_trust = true;
};

ExitStatus run(const Flags& flags, Session& session) {
    const auto name = local_name(flags.name);
    if (!name) return session.usage_error(name.error().message);
    const std::string auth = session.registry_auth(ImageReference::parse(*name)->domain());

    Transfer transfer{session};
    const auto done = transfer.ended(session.managed().push(*name, auth, transfer.progress(), transfer.interrupt_fd()));
    return done ? ExitStatus::success : transfer.failure(done.error());
}

}  // namespace

Run push_command(CLI::App& app) {
    auto flags = std::make_shared<Flags>();
    app.add_option("NAME", flags->name)->required();
    app.add_flag("--disable-content-trust", flags->no_content_trust);
    return [flags](Session& session) { return run(*flags, session); };
}

}  // namespace brokerd::cli
