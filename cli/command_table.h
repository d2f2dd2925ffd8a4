#pragma once

#include <span>

#include "cli/command.h"

namespace brokerd::cli {

/// Every command, in the order of `pluginctl --help`.
[[nodiscard]] std::span<const Command> command_table();

/// Whether `word` is the command's name or its alias.
[[nodiscard]] bool is_called(const Command& command, std::string_view word);
/// nullptr where no command is called so.
[[nodiscard]] const Command* find_command(std::string_view word);

/// One for each command, in commands/, with its help text beside it.
[[nodiscard]] Run activate_command(CLI::App& app);
[[nodiscard]] Run call_command(CLI::App& app);
[[nodiscard]] Run completion_command(CLI::App& app);
[[nodiscard]] Run create_command(CLI::App& app);
[[nodiscard]] Run dial_stdio_command(CLI::App& app);
[[nodiscard]] Run disable_command(CLI::App& app);
[[nodiscard]] Run doctor_command(CLI::App& app);
[[nodiscard]] Run enable_command(CLI::App& app);
[[nodiscard]] Run events_command(CLI::App& app);
[[nodiscard]] Run import_command(CLI::App& app);
[[nodiscard]] Run inspect_command(CLI::App& app);
[[nodiscard]] Run install_command(CLI::App& app);
[[nodiscard]] Run list_command(CLI::App& app);
[[nodiscard]] Run load_command(CLI::App& app);
[[nodiscard]] Run logs_command(CLI::App& app);
[[nodiscard]] Run prune_command(CLI::App& app);
[[nodiscard]] Run push_command(CLI::App& app);
[[nodiscard]] Run remove_command(CLI::App& app);
[[nodiscard]] Run save_command(CLI::App& app);
[[nodiscard]] Run set_command(CLI::App& app);
[[nodiscard]] Run stats_command(CLI::App& app);
[[nodiscard]] Run upgrade_command(CLI::App& app);
[[nodiscard]] Run version_command(CLI::App& app);
[[nodiscard]] Run wait_command(CLI::App& app);

}  // namespace brokerd::cli
