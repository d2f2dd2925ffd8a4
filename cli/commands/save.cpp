#include <CLI/App.hpp>
#include <memory>

#include "cli/command_table.h"
#include "cli/output/new_file.h"
#include "cli/process/interrupt.h"
#include "cli/session.h"

namespace brokerd::cli {
namespace {

struct Flags {
    std::string name;
    std::string output;
};

ExitStatus save_to_output(const Flags& flags, Session& session) {
    if (session.out.is_terminal()) {
        return session.failure("an archive is not for a terminal; use --output FILE, or redirect it");
    }
    const UnixHttp::Receiver receive = [&](std::string& body) {
        session.out.write(body);
        body.clear();
        return session.out.flush();
    };
    const auto done = session.managed().save(flags.name, receive, -1);
    if (!done) return session.failure(done.error());
    return session.out.error() == 0 ? ExitStatus::success : ExitStatus::failed;
}

ExitStatus save_to_file(const Flags& flags, Session& session) {
    Interrupt interrupt;  // before there is a file to remove
    auto file = NewFile::create(flags.output);
    if (!file) return session.failure(file.error().message);
    std::string problem;
    const UnixHttp::Receiver receive = [&](std::string& body) {
        problem = file->write(body);
        body.clear();
        return problem.empty();
    };
    const auto done = session.managed().save(flags.name, receive, interrupt.fd());
    if (!done) return session.failure(done.error(), interrupt);
    if (problem.empty()) problem = file->commit();
    return problem.empty() ? ExitStatus::success : session.failure(problem);
}

ExitStatus run(const Flags& flags, Session& session) {
    if (flags.name.empty()) return session.usage_error("the plugin's name is empty");
    return flags.output.empty() || flags.output == "-" ? save_to_output(flags, session) : save_to_file(flags, session);
}

}  // namespace

Run save_command(CLI::App& app) {
    auto flags = std::make_shared<Flags>();
    app.add_option("NAME", flags->name)->required();
    app.add_option("-o,--output", flags->output, kFileWords);
    return [flags](Session& session) { return run(*flags, session); };
}

}  // namespace brokerd::cli
