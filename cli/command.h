#pragma once

#include <functional>
#include <string_view>

#include "cli/exit_status.h"

namespace CLI {
class App;
}

namespace brokerd::cli {

class Session;

/// A command after its flags were read: does the work.
using Run = std::function<ExitStatus(Session&)>;

/// The description of a CLI11 option is not shown to anybody: it is the list of the words that a shell may complete its
/// value with, or this for names of files.
inline constexpr const char* kFileWords = ":files";

/// What the shell may complete an argument of the command with.
enum class Completion { nothing, plugin_names, files, shells };

/// One line of the table of commands.
struct Command {
    std::string_view name;
    std::string_view alias;     ///< empty for none
    std::string_view help;      ///< the command's .md file; its second paragraph is the summary
    Run (*declare)(CLI::App&);  ///< adds flags and arguments; the Run sees what was given for them
    Completion completion = Completion::nothing;
};

}  // namespace brokerd::cli
