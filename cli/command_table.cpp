#include "cli/command_table.h"

#include <algorithm>
#include <array>

#include "cli/help/texts.h"

namespace brokerd::cli {
namespace {

constexpr std::array kCommands{
    Command{"install", "", help::install, install_command},
    Command{"ls", "list", help::list, list_command},
    Command{"inspect", "", help::inspect, inspect_command, Completion::plugin_names},
    Command{"enable", "", help::enable, enable_command, Completion::plugin_names},
    Command{"disable", "", help::disable, disable_command, Completion::plugin_names},
    Command{"wait", "", help::wait, wait_command, Completion::plugin_names},
    Command{"set", "", help::set, set_command, Completion::plugin_names},
    Command{"upgrade", "", help::upgrade, upgrade_command, Completion::plugin_names},
    Command{"rm", "remove", help::remove, remove_command, Completion::plugin_names},
    Command{"create", "", help::create, create_command, Completion::files},
    Command{"push", "", help::push, push_command, Completion::plugin_names},
    Command{"save", "", help::save, save_command, Completion::plugin_names},
    Command{"load", "", help::load, load_command, Completion::files},
    Command{"import", "", help::import, import_command, Completion::files},
    Command{"prune", "", help::prune, prune_command},
    Command{"doctor", "", help::doctor, doctor_command},
    Command{"activate", "", help::activate, activate_command, Completion::plugin_names},
    Command{"call", "", help::call, call_command, Completion::plugin_names},
    Command{"logs", "", help::logs, logs_command, Completion::plugin_names},
    Command{"events", "", help::events, events_command},
    Command{"stats", "", help::stats, stats_command, Completion::plugin_names},
    Command{"version", "", help::version, version_command},
    Command{"dial-stdio", "", help::dial_stdio, dial_stdio_command},
    Command{"completion", "", help::completion, completion_command, Completion::shells},
};

}  // namespace

std::span<const Command> command_table() {
    return kCommands;
}

bool is_called(const Command& command, std::string_view word) {
    return word == command.name || (!command.alias.empty() && word == command.alias);
}

const Command* find_command(std::string_view word) {
    const auto* found =
        std::find_if(kCommands.begin(), kCommands.end(), [&](const Command& one) { return is_called(one, word); });
    return found == kCommands.end() ? nullptr : found;
}

}  // namespace brokerd::cli
