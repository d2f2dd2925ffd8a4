// The scripts are made from the table of commands and from the flags that the commands declare, so that a new command
// is completed without another line anywhere. What they complete at run time, the names of plugins, comes from outside:
// bash expands the words that it is given (`compgen -W`) and puts an answer on the command line as it is, so there only
// names made of a plugin name's own characters are taken. zsh and fish quote by themselves.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/command_table.h"
#include "cli/help/help_page.h"
#include "cli/session.h"

namespace brokerd::cli {
namespace {

constexpr std::string_view kShells = "bash zsh fish";

constexpr std::string_view kBashHead =
    R"(# Completion of pluginctl in bash. Load it with: source <(pluginctl completion bash)
_pluginctl_names() {
    local name
    while IFS= read -r name; do
        [[ $name =~ ^[A-Za-z0-9_./:@+-]+$ && $name == "$1"* ]] && COMPREPLY+=("$name")
    done < <(pluginctl ls -q 2>/dev/null)
}
_pluginctl() {
    local line=${COMP_LINE:0:COMP_POINT} command='' words='' names='' files='' word i
    local current=${line##* }
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            -H | --host) ((i++)) ;;
            -*) ;;
            *) command=${COMP_WORDS[i]}; break ;;
        esac
    done
    case $command in
)";
constexpr std::string_view kBashTail = R"(    esac
    for word in $words; do
        [[ $word == "$current"* ]] && COMPREPLY+=("$word")
    done
    [[ -n $names ]] && _pluginctl_names "$current"
    [[ -n $files ]] && compopt -o default
    # bash takes a colon for the end of a word, and replaces only what follows the last one.
    [[ $current == *:* ]] && COMPREPLY=("${COMPREPLY[@]#"${current%"${current##*:}"}"}")
    return 0
}
complete -F _pluginctl pluginctl
)";

constexpr std::string_view kZshHead = R"(#compdef pluginctl
# Completion of pluginctl in zsh. Put it into a directory of $fpath as _pluginctl.
_pluginctl() {
    local command i
    for ((i = 2; i < CURRENT; i++)); do
        case $words[i] in
            -H|--host) ((i++)) ;;
            -*) ;;
            *) command=$words[i]; break ;;
        esac
    done
    case $command in
)";
constexpr std::string_view kZshTail = R"(    esac
}
if [[ $funcstack[1] == _pluginctl ]]; then
    _pluginctl "$@"
else
    compdef _pluginctl pluginctl
fi
)";

struct Flag {
    std::vector<std::string> short_names;
    std::vector<std::string> long_names;
};

/// What a command declares, and the two that all have.
std::vector<Flag> flags_of(const Command& command) {
    CLI::App app;
    app.set_help_flag("-h,--help");
    app.add_option("-H,--host");
    const Run unused = command.declare(app);
    std::vector<Flag> out;
    for (const CLI::Option* option : app.get_options()) {
        if (!option->get_positional()) out.push_back({option->get_snames(), option->get_lnames()});
    }
    return out;
}

std::string flag_words(const Command& command) {
    std::string words;
    for (const Flag& flag : flags_of(command)) {
        for (const std::string& name : flag.short_names) words += fmt::format("-{} ", name);
        for (const std::string& name : flag.long_names) words += fmt::format("--{} ", name);
    }
    if (command.completion == Completion::shells) words += kShells;
    return words;
}

/// "ls|list", as a pattern of a shell's case.
std::string pattern(const Command& command) {
    return command.alias.empty() ? std::string{command.name} : fmt::format("{}|{}", command.name, command.alias);
}

std::string top_words() {
    std::string words;
    for (const Command& command : command_table()) words += fmt::format("{} ", command.name);
    return words + "--help --host --version";
}

std::string bash_script() {
    std::string out{kBashHead};
    out += fmt::format("        '') words='{}' ;;\n", top_words());
    for (const Command& command : command_table()) {
        const bool names = command.completion == Completion::plugin_names;
        const bool files = command.completion == Completion::files;
        out += fmt::format("        {}) words='{}' names={} files={} ;;\n", pattern(command), flag_words(command),
                           names ? "1" : "", files ? "1" : "");
    }
    return out += kBashTail;
}

std::string zsh_script() {
    std::string out{kZshHead};
    out += fmt::format("        '') compadd -- {} ;;\n", top_words());
    for (const Command& command : command_table()) {
        out += fmt::format("        {})\n            compadd -- {}\n", pattern(command), flag_words(command));
        if (command.completion == Completion::plugin_names) {
            out += "            compadd -- ${(f)\"$(pluginctl ls -q 2>/dev/null)\"}\n";
        } else if (command.completion == Completion::files) {
            out += "            _files\n";
        }
        out += "            ;;\n";
    }
    return out += kZshTail;
}

std::string fish_flags(const Command& command, std::string_view condition) {
    std::string out;
    for (const Flag& flag : flags_of(command)) {
        out += fmt::format("complete -c pluginctl {}", condition);
        for (const std::string& name : flag.short_names) out += fmt::format(" -s {}", name);
        for (const std::string& name : flag.long_names) out += fmt::format(" -l {}", name);
        out += '\n';
    }
    return out;
}

std::string fish_script() {
    std::string out = "# Completion of pluginctl in fish.\ncomplete -c pluginctl -f\n";
    for (const Command& command : command_table()) {
        const std::string condition =
            fmt::format("-n '__fish_seen_subcommand_from {} {}'", command.name, command.alias);
        out += fmt::format("complete -c pluginctl -n __fish_use_subcommand -a {} -d '{}'\n", command.name,
                           summary(command.help));
        out += fish_flags(command, condition);
        if (command.completion == Completion::plugin_names) {
            out += fmt::format("complete -c pluginctl {} -a '(pluginctl ls -q 2>/dev/null)'\n", condition);
        } else if (command.completion == Completion::files) {
            out += fmt::format("complete -c pluginctl {} -F\n", condition);
        } else if (command.completion == Completion::shells) {
            out += fmt::format("complete -c pluginctl {} -a '{}'\n", condition, kShells);
        }
    }
    return out;
}

ExitStatus run(const std::string& shell, Session& session) {
    if (shell == "bash") {
        session.out.write(bash_script());
    } else if (shell == "zsh") {
        session.out.write(zsh_script());
    } else if (shell == "fish") {
        session.out.write(fish_script());
    } else {
        return session.usage_error(fmt::format("there is no script for \"{}\"; the shells are: {}", shell, kShells));
    }
    return ExitStatus::success;
}

}  // namespace

Run completion_command(CLI::App& app) {
    auto shell = std::make_shared<std::string>();
    app.add_option("SHELL", *shell)->required();
    return [shell](Session& session) { return run(*shell, session); };
}

}  // namespace brokerd::cli
