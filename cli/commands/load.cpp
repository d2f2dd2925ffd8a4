#include <fmt/format.h>

#include <CLI/App.hpp>
#include <memory>

#include "cli/command_table.h"
#include "cli/consent.h"
#include "cli/output/printable.h"
#include "cli/plugin_arguments.h"
#include "cli/process/archive_source.h"
#include "cli/transfer.h"

namespace brokerd::cli {
namespace {

struct Flags {
    std::string source;
    std::string input;
    std::string name;
    bool grant_all = false;
};

/// Sends the archive; the error is the status to end with.
Result<ManagedClient::Staged, ExitStatus> stage(const std::string& path, Session& session) {
    auto source =
        ArchiveSource::open({path, {"oci-layout", "index.json", "blobs"}, "an OCI image layout"}, session.input_fd);
    if (!source) return fail(session.failure(source.error().message));
    Transfer transfer{session};
    auto staged =
        transfer.ended(session.managed().load(source->stream(), transfer.progress(), transfer.interrupt_fd()));
    if (!staged) return fail(transfer.failure(staged.error()));
    return std::move(*staged);
}

ExitStatus install(const ManagedClient::Staged& staged, const std::string& name, const Flags& flags,
                   bool input_is_archive, Session& session) {
    if (!flags.grant_all && input_is_archive && !staged.privileges.empty()) {
        return session.failure(
            fmt::format("{} asks for privileges, and nobody can answer on standard input, which is the archive; "
                        "use --grant-all-permissions, or --input FILE",
                        name));
    }
    if (!flags.grant_all && !privileges_granted(session, name, staged.privileges, staged.undisclosed)) {
        return session.failure(fmt::format("Permission denied while installing plugin {}", name));
    }
    const auto installed = session.managed().install_staged(staged, name);
    if (!installed) return session.failure(installed.error());
    session.out.write(fmt::format("Loaded plugin {}\n", printable(installed->empty() ? name : *installed)));
    return ExitStatus::success;
}

ExitStatus run(const Flags& flags, Session& session) {
    if (!flags.source.empty() && !flags.input.empty()) {
        return session.usage_error("there are two archives; name one, with --input or without");
    }
    std::string name;
    if (!flags.name.empty()) {
        const auto given = local_name(flags.name);
        if (!given) return session.usage_error(given.error().message);
        name = *given;
    }
    const std::string& named = flags.input.empty() ? flags.source : flags.input;
    const std::string path = named.empty() ? "-" : named;

    const auto staged = stage(path, session);
    if (!staged) return staged.error();
    if (name.empty()) {
        const auto own = local_name(staged->reference);
        if (!own) return session.failure("the image has no name that a plugin could have; give it one with --name");
        name = *own;
    }
    return install(*staged, name, flags, path == "-", session);
}

}  // namespace

Run load_command(CLI::App& app) {
    auto flags = std::make_shared<Flags>();
    app.add_option("SOURCE", flags->source);
    app.add_option("-i,--input", flags->input);
    app.add_option("--name", flags->name);
    app.add_flag("--grant-all-permissions", flags->grant_all);
    return [flags](Session& session) { return run(*flags, session); };
}

}  // namespace brokerd::cli
