#pragma once

#include <string>
#include <string_view>

#include "daemon/archive/limits.h"

namespace brokerd {

/// Where an archive says that an entry goes, relative to the root that it is unpacked into: always beneath it by its
/// text (what symbolic links on the way do is another matter). Without leading "/", ".", empty and ".." components.
struct ArchivePath {
    std::string parent;  ///< "" is the root
    std::string name;    ///< "" is the root itself

    [[nodiscard]] bool is_root() const noexcept { return name.empty(); }
    [[nodiscard]] std::string str() const { return parent.empty() ? name : parent + '/' + name; }
};

/// Names in archives begin with "./" or "/" at their writers' whim: both are dropped, as every unpacker does. Throws
/// EntryRefused for ".." and for what is too long or too deep. `text` null: no name, or one that is not UTF-8.
[[nodiscard]] ArchivePath parse_archive_path(const char* text, const ArchiveLimits& limits);

}  // namespace brokerd
