// The scripts ask pluginctl itself (cli/completions.h) and only bring its answer into their shell. Nothing that it
// prints is ever evaluated: bash gets the words through an array, zsh through compadd, fish through the output of a
// command.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <memory>

#include "cli/command_table.h"
#include "cli/completions.h"
#include "cli/session.h"

namespace brokerd::cli {
namespace {

constexpr std::string_view kBash =
    R"(# Completion of pluginctl in bash. Load it with: source <(pluginctl completion bash)
_pluginctl() {
    local line=${COMP_LINE:0:COMP_POINT} word cut='' words
    COMPREPLY=()
    # By blanks alone: bash itself would take colons and equal signs for the ends of words, too.
    read -ra words <<<"$line"
    [[ $line == *[[:blank:]] ]] && words+=('')
    local last=${words[${#words[@]} - 1]}
    # Of a word with such signs bash replaces only what follows the last of them.
    local breaks=${COMP_WORDBREAKS//[^:=]/}
    [[ -n $breaks && $last == *[$breaks]* ]] && cut=${last%"${last##*[$breaks]}"}
    while IFS= read -r word; do
        if [[ $word == ':files' ]]; then
            compopt -o default
            return 0
        fi
        word=${word%%$'\t'*}
        [[ $word == *= || $word == *:// ]] && compopt -o nospace
        COMPREPLY+=("${word#"$cut"}")
    done < <(pluginctl __complete "${words[@]:1}" 2>/dev/null)
    return 0
}
complete -F _pluginctl pluginctl
)";

constexpr std::string_view kZsh = R"(#compdef pluginctl
# Completion of pluginctl in zsh. Put it into a directory of $fpath as _pluginctl.
_pluginctl() {
    local line word
    local -a whole begun shown_whole
    for line in "${(@f)$(pluginctl __complete "${(@Q)words[2,CURRENT]}" 2>/dev/null)}"; do
        if [[ $line == :files ]]; then
            _files
            return
        fi
        word=${line%%$'\t'*}
        [[ -n $word ]] || continue
        if [[ $word == *= || $word == *:// ]]; then
            begun+=("$word")
        else
            whole+=("$word")
            shown_whole+=("${line/$'\t'/  -- }")
        fi
    done
    compadd -l -d shown_whole -a whole
    compadd -S '' -a begun
}
if [[ $funcstack[1] == _pluginctl ]]; then
    _pluginctl "$@"
else
    compdef _pluginctl pluginctl
fi
)";

constexpr std::string_view kFish = R"(# Completion of pluginctl in fish.
function __pluginctl_complete
    set -l words (commandline -opc)
    set -l last (commandline -ct)
    set -l offers (pluginctl __complete $words[2..-1] $last 2>/dev/null)
    if test "$offers[1]" = ':files'
        __fish_complete_path $last
        return
    end
    printf '%s\n' $offers
end
complete -c pluginctl -f -a '(__pluginctl_complete)'
)";

ExitStatus run(const std::string& shell, Session& session) {
    if (shell == "bash") {
        session.out.write(kBash);
    } else if (shell == "zsh") {
        session.out.write(kZsh);
    } else if (shell == "fish") {
        session.out.write(kFish);
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
