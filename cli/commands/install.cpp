#include <fmt/format.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>

#include "cli/command_table.h"
#include "cli/consent.h"
#include "cli/output/printable.h"
#include "cli/plugin_arguments.h"
#include "cli/transfer.h"

namespace brokerd::cli {
namespace {

struct Flags {
    std::string plugin;
    std::vector<std::string> settings;
    std::string alias;
    bool disable = false;
    bool grant_all = false;
    bool no_content_trust = true;
};

/// A plugin on its way from a registry to being enabled.
class Installation {
public:
    Installation(const Flags& flags, ImageReference remote, std::string alias, Session& session)
        : flags_{flags}, remote_{std::move(remote)}, name_{std::move(alias)}, session_{session} {}

    ExitStatus run() {
        for (const auto step : {&Installation::pull, &Installation::set, &Installation::enable}) {
            const ExitStatus status = (this->*step)();
            if (status != ExitStatus::success) return status;
        }
        session_.out.write(fmt::format("Installed plugin {}\n", printable(flags_.plugin)));
        return ExitStatus::success;
    }

private:
    ExitStatus pull() {
        const std::string auth = session_.registry_auth(remote_.domain());
        const auto privileges = session_.managed().remote_privileges(remote_.str(), auth);
        if (!privileges) return session_.failure(privileges.error());
        if (!flags_.grant_all && !privileges->empty() && !granted(*privileges, auth)) {
            return session_.failure(fmt::format("Permission denied while installing plugin {}", flags_.plugin));
        }
        if (!flags_.settings.empty()) was_there_ = static_cast<bool>(session_.managed().inspect(expected_name()));
        Transfer transfer{session_};
        const auto name = transfer.ended(session_.managed().pull(remote_.str(), name_, *privileges, auth,
                                                                 transfer.progress(), transfer.interrupt_fd()));
        if (!name) return transfer.failure(name.error());
        if (!name->empty()) name_ = *name;
        if (name_.empty()) name_ = expected_name();
        return ExitStatus::success;
    }

    [[nodiscard]] bool granted(const ManagedClient::Privileges& privileges, const std::string& auth) {
        const auto undisclosed = session_.managed().undisclosed_access(remote_.str(), auth);
        return privileges_granted(session_, flags_.plugin, privileges,
                                  undisclosed ? *undisclosed : ManagedClient::Privileges{});
    }

    /// As the daemon will call it.
    [[nodiscard]] std::string expected_name() const {
        if (!name_.empty()) return name_;
        const ImageReference plain = remote_.without_tag();
        const auto tagged = plain.with_tag(remote_.tag().value_or("latest"));
        return (tagged ? *tagged : plain.with_default_tag()).familiar();
    }

    /// A plugin with other settings than those asked for is not what was to be installed. One that was there before is
    /// somebody's, with settings and data: it stays.
    ExitStatus set() {
        if (flags_.settings.empty()) return ExitStatus::success;
        const auto done = session_.managed().set(name_, flags_.settings);
        if (done) return ExitStatus::success;
        const ExitStatus status = session_.failure(done.error());
        if (was_there_) return status;
        const auto removed = session_.managed().remove(name_, false);
        if (!removed) session_.failure(fmt::format("{} stays installed: {}", name_, removed.error().message));
        return status;
    }

    ExitStatus enable() {
        if (flags_.disable) return ExitStatus::success;
        constexpr std::chrono::seconds kAsTheDaemonKnows{0};
        const auto done = session_.managed().enable(name_, kAsTheDaemonKnows);
        if (done || is_enabled()) return ExitStatus::success;
        ClientError error = done.error();
        error.message =
            fmt::format("{} is installed but disabled: {}; once the cause is gone \"pluginctl enable {}\" starts it",
                        name_, error.message, name_);
        return session_.failure(error);
    }

    /// One that was installed before may run already: then all is as it was asked for.
    [[nodiscard]] bool is_enabled() const {
        const auto plugin = session_.managed().inspect(name_);
        return plugin && plugin->enabled;
    }

    const Flags& flags_;
    const ImageReference remote_;
    std::string name_;        ///< on this host; empty until the daemon gave it one
    bool was_there_ = false;  ///< before this installation
    Session& session_;
};

ExitStatus run(const Flags& flags, Session& session) {
    auto remote = ImageReference::parse(flags.plugin);
    if (!remote) return session.usage_error(remote.error().message);
    std::string alias;
    if (!flags.alias.empty()) {
        const auto name = local_name(flags.alias);
        if (!name) return session.usage_error(name.error().message);
        alias = *name;
    }
    if (const auto problem = settings_problem(flags.settings)) return session.usage_error(*problem);
    return Installation{flags, std::move(*remote), std::move(alias), session}.run();
}

}  // namespace

Run install_command(CLI::App& app) {
    auto flags = std::make_shared<Flags>();
    app.add_option("PLUGIN", flags->plugin)->required();
    app.add_option("SETTING", flags->settings);
    app.add_option("--alias", flags->alias);
    app.add_flag("--disable", flags->disable);
    app.add_flag("--grant-all-permissions", flags->grant_all);
    app.add_flag("--disable-content-trust", flags->no_content_trust);
    return [flags](Session& session) { return run(*flags, session); };
}

}  // namespace brokerd::cli
