#include <fmt/format.h>

#include <CLI/App.hpp>
#include <memory>

#include "cli/command_table.h"
#include "cli/consent.h"
#include "cli/output/printable.h"
#include "cli/output/units.h"
#include "cli/session.h"

namespace brokerd::cli {
namespace {

struct Flags {
    bool force = false;
};

std::string listed(std::string_view heading, const std::vector<std::string>& items) {
    if (items.empty()) return {};
    std::string out = fmt::format("{}:\n", heading);
    for (const std::string& item : items) out += printable(item) + '\n';
    return out + '\n';
}

ExitStatus run(const Flags& flags, Session& session) {
    if (!flags.force) {
        session.out.write(
            "WARNING! This will remove all downloaded and loaded content that no installed plugin uses.\n");
        if (!confirmed(session, "Are you sure you want to continue?")) {
            return session.failure("prune has been cancelled");
        }
    }
    const auto pruned = session.managed().prune();
    if (!pruned) return session.failure(pruned.error());
    session.out.write(listed("Deleted Blobs", pruned->blobs));
    session.out.write(listed("Deleted Directories", pruned->directories));
    session.out.write(fmt::format("Total reclaimed space: {}\n", human_bytes(pruned->bytes)));
    return ExitStatus::success;
}

}  // namespace

Run prune_command(CLI::App& app) {
    auto flags = std::make_shared<Flags>();
    app.add_flag("-f,--force", flags->force);
    return [flags](Session& session) { return run(*flags, session); };
}

}  // namespace brokerd::cli
