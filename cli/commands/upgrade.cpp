#include <fmt/format.h>

#include <CLI/App.hpp>
#include <memory>

#include "cli/command_table.h"
#include "cli/consent.h"
#include "cli/output/printable.h"
#include "cli/transfer.h"
#include "common/image_reference.h"

namespace brokerd::cli {
namespace {

constexpr int kNotFound = 404;

struct Flags {
    std::string plugin;
    std::string remote;
    bool grant_all = false;
    bool skip_remote_check = false;
    bool no_content_trust = true;
};

/// The installed plugin, the image that it came from, and the one that is to replace it.
struct Upgrade {
    std::string name;
    std::string old_image;  ///< as people write it; may be empty
    ImageReference remote;
};

/// What `remote` asks for, where the user agrees to all of it that the plugin does not have; else the status to end
/// with.
Result<ManagedClient::Privileges, ExitStatus> agreed_privileges(const Upgrade& upgrade, const Flags& flags,
                                                                const std::string& auth, Session& session) {
    const std::string image = upgrade.remote.familiar();
    auto wanted = session.managed().remote_privileges(upgrade.remote.str(), auth);
    if (!wanted) return fail(session.failure(wanted.error()));
    if (flags.grant_all || wanted->empty()) return std::move(*wanted);
    auto granted = session.managed().granted_privileges(upgrade.name);
    // A dockerd does not tell what it granted: then everything is asked for, as docker does.
    const bool unknown = !granted && granted.error().status == kNotFound;
    if (!granted && !unknown) return fail(session.failure(granted.error()));
    const auto asked = unknown ? *wanted : added_privileges(*granted, *wanted);
    const auto undisclosed = session.managed().undisclosed_access(upgrade.remote.str(), auth);
    if (privileges_granted(session, image, asked, undisclosed ? *undisclosed : ManagedClient::Privileges{},
                           !unknown && !granted->empty())) {
        return std::move(*wanted);
    }
    return fail(session.failure(fmt::format("Permission denied while installing plugin {}", image)));
}

ExitStatus replace(const Upgrade& upgrade, const Flags& flags, Session& session) {
    const std::string image = upgrade.remote.familiar();
    session.out.write(fmt::format("Upgrading plugin {} from {} to {}\n", printable(upgrade.name),
                                  printable(upgrade.old_image), printable(image)));
    if (!flags.skip_remote_check && upgrade.old_image != image &&
        !confirmed(session, "Plugin images do not match, are you sure?")) {
        return session.failure("canceling upgrade request");
    }
    const std::string auth = session.registry_auth(upgrade.remote.domain());
    const auto privileges = agreed_privileges(upgrade, flags, auth, session);
    if (!privileges) return privileges.error();

    Transfer transfer{session};
    const auto done = transfer.ended(session.managed().upgrade(upgrade.name, upgrade.remote.str(), *privileges, auth,
                                                               transfer.progress(), transfer.interrupt_fd()));
    if (!done) return transfer.failure(done.error());
    session.out.write(fmt::format("Upgraded plugin {} to {}\n", printable(upgrade.name), printable(image)));
    return ExitStatus::success;
}

ExitStatus run(const Flags& flags, Session& session) {
    if (flags.plugin.empty()) return session.usage_error("the plugin's name is empty");
    const auto plugin = session.managed().inspect(flags.plugin);
    if (!plugin) return session.failure(plugin.error());
    if (plugin->enabled) {
        return session.failure(
            fmt::format("the plugin must be disabled before upgrading: {} is enabled", plugin->name));
    }
    const std::string& text = flags.remote.empty() ? plugin->reference : flags.remote;
    if (text.empty()) {
        return session.failure(
            fmt::format("{} did not come from a registry; name the image to upgrade to: pluginctl "
                        "upgrade {} IMAGE",
                        plugin->name, flags.plugin));
    }
    const auto remote = ImageReference::parse(text);
    if (!remote) return session.usage_error(remote.error().message);
    const auto old = ImageReference::parse(plugin->reference);
    return replace(
        {plugin->name, old ? old->with_default_tag().familiar() : plugin->reference, remote->with_default_tag()}, flags,
        session);
}

}  // namespace

Run upgrade_command(CLI::App& app) {
    auto flags = std::make_shared<Flags>();
    app.add_option("PLUGIN", flags->plugin)->required();
    app.add_option("REMOTE", flags->remote);
    app.add_flag("--grant-all-permissions", flags->grant_all);
    app.add_flag("--skip-remote-check", flags->skip_remote_check);
    app.add_flag("--disable-content-trust", flags->no_content_trust);
    return [flags](Session& session) { return run(*flags, session); };
}

}  // namespace brokerd::cli
