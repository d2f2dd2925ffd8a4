#include "cli/pluginctl.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <memory>
#include <vector>

#include "cli/command_table.h"
#include "cli/completions.h"
#include "cli/help/help_page.h"
#include "cli/help/texts.h"
#include "cli/output/printable.h"
#include "cli/process/ssh_tunnel.h"
#include "cli/session.h"
#include "common/os/system_error.h"
#include "common/protocol/control_api.h"

namespace brokerd::cli {
namespace {

/// The flags and arguments of the program and of the commands that are named.
class Arguments {
public:
    /// Only commands whose names are among the words can be meant; to declare the flags of all would take longer than
    /// what most of them do.
    Arguments(std::string host, std::span<const char* const> words) : host_{std::move(host)} {
        app_.set_help_flag("-h,--help");
        app_.require_subcommand(0, 1);
        app_.add_flag("--version", version_);
        add_host(app_);
        for (const Command& command : command_table()) {
            const auto names_it = [&](std::string_view word) { return is_called(command, word); };
            if (std::none_of(words.begin(), words.end(), names_it)) continue;
            CLI::App& added = *app_.add_subcommand(std::string{command.name});
            if (!command.alias.empty()) added.alias(std::string{command.alias});
            add_host(added);
            entries_.push_back({&command, &added, command.declare(added)});
        }
    }

    struct Entry {
        const Command* command;
        CLI::App* app;
        Run run;
    };

    void parse(std::span<const char* const> arguments) {
        app_.parse(std::vector<std::string>{arguments.rbegin(), arguments.rend()});  // CLI11 takes them from the back
    }

    /// The command that was named, also where parsing failed after its name.
    [[nodiscard]] const Entry* chosen() const {
        for (const Entry& entry : entries_) {
            if (app_.got_subcommand(entry.app)) return &entry;
        }
        return nullptr;
    }

    [[nodiscard]] const std::string& host() const noexcept { return host_; }
    [[nodiscard]] bool version() const noexcept { return version_; }

private:
    /// For each command again: `pluginctl ls -H …` is what people type. (CLI11's fallthrough would also take a
    /// plugin's name for a command.)
    void add_host(CLI::App& app) { app.add_option("-H,--host", host_)->type_name("HOST"); }

    std::string host_;
    bool version_ = false;
    CLI::App app_{"", "pluginctl"};
    std::vector<Entry> entries_;
};

std::string program_and(const Arguments::Entry* entry) {
    return entry == nullptr ? "pluginctl" : fmt::format("pluginctl {}", entry->command->name);
}

ExitStatus wrong_arguments(const Invocation& invocation, const Arguments::Entry* entry, std::string_view problem) {
    invocation.err.write(
        fmt::format("{}: {}; see: {} --help\n", program_and(entry), printable(problem), program_and(entry)));
    return ExitStatus::usage;
}

ExitStatus print(Output& out, std::string_view text) {
    out.write(text);
    return ExitStatus::success;
}

Result<ControlHost> control_host_of(const std::string& text, SshUse use = SshUse::person) {
    if (text.substr(0, 6) == "ssh://") {
        auto address = SshAddress::parse(text);
        if (!address) return fail(address.error());
        return ControlHost{text, std::make_shared<SshTunnel>(std::move(*address), use)};
    }
    auto path = control_socket_of(text);
    if (!path) return fail(path.error());
    return ControlHost{std::move(*path)};
}

std::string default_host(const std::string& given) {
    return given.empty() ? std::string{control_api::kDefaultSocket} : given;
}

/// What a completion script asks for; the words behind the first are the command line's.
ExitStatus print_completions(const Invocation& invocation) {
    const auto names_of = [&](const std::string& host) {
        std::vector<std::string> names;
        const auto control_host =
            control_host_of(default_host(host.empty() ? invocation.host : host), SshUse::completion);
        if (!control_host) return names;
        const auto plugins = ControlClient{*control_host}.plugins();
        if (!plugins) return names;
        for (const PluginView& plugin : *plugins) names.push_back(plugin.name);
        return names;
    };
    return print(invocation.out, completions({invocation.arguments.begin() + 1, invocation.arguments.end()}, names_of));
}

ExitStatus run_command(const Invocation& invocation, const Arguments& arguments) {
    const Arguments::Entry* entry = arguments.chosen();
    if (arguments.version()) return print(invocation.out, "pluginctl " BROKERD_VERSION "\n");
    if (entry == nullptr) return print(invocation.out, program_help(command_table()));

    const auto control_host = control_host_of(default_host(arguments.host()));
    if (!control_host) return wrong_arguments(invocation, entry, control_host.error().message);
    Session session{{entry->command->name, *control_host, invocation.docker_config, invocation.input_fd, invocation.out,
                     invocation.err}};
    return entry->run(session);
}

/// `pluginctl --man-page [COMMAND]`, with which the build makes the manual pages.
ExitStatus print_manual_page(const Invocation& invocation) {
    if (invocation.arguments.size() == 1) return print(invocation.out, manual_page(command_table()));
    const Command* command = find_command(invocation.arguments[1]);
    if (command == nullptr) return wrong_arguments(invocation, nullptr, "there is no such command");
    return print(invocation.out, manual_page(*command));
}

ExitStatus parse_and_run(const Invocation& invocation) {
    // What programs ask for, and not people: in no help text, and before anything is parsed.
    const std::string_view first = invocation.arguments.empty() ? std::string_view{} : invocation.arguments[0];
    if (first == "--man-page") return print_manual_page(invocation);
    if (first == kCompleteWord) return print_completions(invocation);
    Arguments arguments{invocation.host, invocation.arguments};
    try {
        arguments.parse(invocation.arguments);
    } catch (const CLI::CallForHelp&) {
        const Arguments::Entry* entry = arguments.chosen();
        return print(invocation.out, entry == nullptr ? program_help(command_table()) : command_help(*entry->command));
    } catch (const CLI::ExtrasError& error) {
        const bool no_command = arguments.chosen() == nullptr && !invocation.arguments.empty();
        return wrong_arguments(invocation, arguments.chosen(),
                               no_command ? "there is no such command or option" : error.what());
    } catch (const CLI::ParseError& error) {
        return wrong_arguments(invocation, arguments.chosen(), error.what());
    }
    return run_command(invocation, arguments);
}

}  // namespace

ExitStatus run_pluginctl(const Invocation& invocation) {
    const ExitStatus status = parse_and_run(invocation);
    // What was asked for comes before what is wrong with it, where both go to a terminal.
    if (!invocation.out.flush() && invocation.out.error() != EPIPE) {
        invocation.err.write(
            fmt::format("pluginctl: cannot write the output: {}\n", errno_text(invocation.out.error())));
        invocation.err.flush();
        return ExitStatus::failed;
    }
    invocation.err.flush();
    return status;
}

}  // namespace brokerd::cli
