#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

/// What shells offer on a pluginctl command line. The scripts of `pluginctl completion` only ask, with
///     pluginctl __complete WORD… LAST
/// where LAST, which may be empty, is to be completed: so the three shells offer the same, and a new command or flag
/// needs no other script.
namespace brokerd::cli {

inline constexpr std::string_view kCompleteWord = "__complete";
/// In place of words: the shell completes the name of a file.
inline constexpr std::string_view kFilesMark = ":files";
inline constexpr std::string_view kShells = "bash zsh fish";

/// The names of the plugins of the daemon at `host`, which is empty where the command line names none.
using NamesOf = std::function<std::vector<std::string>(const std::string& host)>;

/// A line for each word that LAST may become, with a tab and an explanation where there is one; or kFilesMark. Names
/// that hold anything but letters, digits and ._/:@+- are left out: they come from outside, and a shell's command line
/// is no place for what its author may have thought of.
[[nodiscard]] std::string completions(const std::vector<std::string>& words, const NamesOf& names_of);

}  // namespace brokerd::cli
