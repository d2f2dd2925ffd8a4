#pragma once

#include <sys/stat.h>

#include <string>

#include "daemon/discovery/plugin_definition.h"

namespace brokerd {

/// Whose files are believed. Docker does not ask; whoever can write such a file can have every container's volumes.
enum class FileTrust {
    root_or_own,  ///< owner root or this process's user, and nobody else may write, nor replace what is on the way
    anybody,      ///< tests
};

/// Reads the file or socket that defines `name`, a valid plugin name, and says what it contains. Never fails and never
/// blocks on the file's type: what is wrong is in the definition. Symbolic links are followed; owner and mode are the
/// target's. Certificate files that it names are not opened. Shadows are left empty.
[[nodiscard]] PluginDefinition load_definition(const std::string& name, const std::string& file,
                                               PluginDefinition::Source source, FileTrust trust);

/// What a file of this status is, for messages: "a FIFO".
[[nodiscard]] std::string file_type(const struct stat& status);

}  // namespace brokerd
