#include "cli/command_table.h"

#include <array>

#include "cli/help/texts.h"

namespace brokerd::cli {
namespace {

constexpr std::array kCommands{
    Command{"ls", "list", help::list, list_command},
    Command{"inspect", "", help::inspect, inspect_command, Completion::plugin_names},
    Command{"doctor", "", help::doctor, doctor_command},
    Command{"activate", "", help::activate, activate_command, Completion::plugin_names},
    Command{"call", "", help::call, call_command, Completion::plugin_names},
    Command{"events", "", help::events, events_command},
    Command{"stats", "", help::stats, stats_command, Completion::plugin_names},
    Command{"version", "", help::version, version_command},
    Command{"completion", "", help::completion, completion_command, Completion::shells},
};

}  // namespace

std::span<const Command> command_table() {
    return kCommands;
}

}  // namespace brokerd::cli
