#include <CLI/App.hpp>
#include <memory>

#include "cli/command_table.h"
#include "cli/output/printable.h"
#include "cli/plugin_arguments.h"
#include "cli/process/archive_source.h"
#include "cli/process/interrupt.h"
#include "cli/session.h"

namespace brokerd::cli {
namespace {

struct Flags {
    std::string name;
    std::string source;
    bool compress = false;
};

ExitStatus run(const Flags& flags, Session& session) {
    const auto name = local_name(flags.name);
    if (!name) return session.usage_error(name.error().message);
    if (flags.source.empty()) return session.usage_error("the name of the directory or archive is empty");
    auto source = ArchiveSource::open({flags.source, {"config.json", "rootfs"}, "a plugin directory", flags.compress},
                                      session.input_fd);
    if (!source) return session.failure(source.error().message);

    Interrupt interrupt;
    const auto done = session.managed().create(*name, source->stream(), interrupt.fd());
    if (!done) return session.failure(done.error(), interrupt);
    session.out.write(printable(flags.name) + '\n');
    return ExitStatus::success;
}

}  // namespace

Run create_command(CLI::App& app) {
    auto flags = std::make_shared<Flags>();
    app.add_option("NAME", flags->name)->required();
    app.add_option("SOURCE", flags->source)->required();
    app.add_flag("--compress", flags->compress);
    return [flags](Session& session) { return run(*flags, session); };
}

}  // namespace brokerd::cli
