#include "daemon/archive/archive_path.h"

#include <fmt/format.h>

#include "daemon/archive/refused.h"

namespace brokerd {

ArchivePath parse_archive_path(const char* text, const ArchiveLimits& limits) {
    if (text == nullptr) throw EntryRefused{"has no readable name"};
    std::string_view rest = text;
    if (rest.empty()) throw EntryRefused{"has an empty name"};
    if (rest.size() > limits.path_bytes)
        throw EntryRefused{fmt::format("has a name of more than {} bytes", limits.path_bytes)};
    ArchivePath path;
    std::uint32_t depth = 0;
    while (!rest.empty()) {
        const std::string_view part = rest.substr(0, rest.find('/'));
        rest.remove_prefix(std::min(rest.size(), part.size() + 1));
        if (part.empty() || part == ".") continue;
        if (part == "..") throw EntryRefused{"has \"..\" in its name, which could lead out of its root"};
        if (part.size() > limits.name_bytes)
            throw EntryRefused{fmt::format("has a name with a part of more than {} bytes", limits.name_bytes)};
        if (++depth > limits.depth) throw EntryRefused{fmt::format("lies more than {} directories deep", limits.depth)};
        if (!path.name.empty()) path.parent = path.str();
        path.name = part;
    }
    return path;
}

}  // namespace brokerd
