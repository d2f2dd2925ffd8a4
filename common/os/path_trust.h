#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>

namespace brokerd {

/// Where somebody can put another file in the place of one that is believed because it is root's.
struct UntrustedPlace {
    std::string reason;  ///< "the directory /srv/x belongs to user 1000, not to root"
    std::string remedy;  ///< a command for a shell
};

/// Whether somebody who is neither the owner nor in root's group may write, by the mode. (An access list is not asked.)
[[nodiscard]] bool others_can_write(const struct stat& status) noexcept;

/// The first place on the way to `path` (absolute) that does not belong to root or to this process's user, or that
/// others can write; links are followed as the kernel does. Of what the path leads to, a directory or link counts as
/// well; the mode of a file is its reader's matter. In a directory with the sticky bit, nobody can replace what is
/// another's. Nothing: there is none, or the way ends before. Thread: any.
[[nodiscard]] std::optional<UntrustedPlace> find_untrusted(const std::string& path);

}  // namespace brokerd
