// OCI image-spec, "Image Layer Filesystem Changeset", Whiteouts: they hide what lower layers have, whatever their place
// in their own layer. So what this layer has put in place is known by inode number, which holds whichever names lead
// to it, and removal goes around it.

#include <dirent.h>
#include <fcntl.h>

#include <cerrno>
#include <memory>

#include "daemon/archive/layer_entries.h"
#include "daemon/archive/open_beneath.h"
#include "daemon/archive/refused.h"

namespace brokerd {
namespace {

constexpr std::string_view kPrefix = ".wh.";
constexpr std::string_view kMetaPrefix = ".wh..wh.";  ///< aufs' own files, which layers made with it contain
constexpr std::string_view kOpaque = ".wh..wh..opq";

struct CloseDirectory {
    void operator()(DIR* directory) const noexcept { closedir(directory); }
};

/// Whether a directory on the way is a whiteout by its name: whose content would that be?
bool lies_in_whiteout(std::string_view parent, std::string_view prefix) {
    return parent.starts_with(prefix) || parent.find('/' + std::string{prefix}) != std::string_view::npos;
}

}  // namespace

bool LayerEntries::apply_whiteout(const ArchivePath& path) {
    if (lies_in_whiteout(path.parent, kMetaPrefix)) return true;
    if (lies_in_whiteout(path.parent, kPrefix)) throw EntryRefused{"lies in a whiteout"};
    const std::string_view name = path.name;
    if (!name.starts_with(kPrefix)) return false;
    const std::string hidden{name.substr(kPrefix.size())};
    if (hidden.empty() || hidden == "." || hidden == "..") throw EntryRefused{"is a whiteout of no name"};
    const bool is_opaque = name == kOpaque;
    if (is_first_layer_ || (name.starts_with(kMetaPrefix) && !is_opaque)) return true;
    if (const auto directory = tree_.enter_existing(path.parent)) {
        tree_.forget_current();
        if (is_opaque) {
            remove_lower_content(*directory);
        } else {
            remove_lower(*directory, hidden);
        }
    }
    return true;
}

bool LayerEntries::remove_lower(int directory, const std::string& name) {
    struct stat status {};
    if (fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) return false;
        refuse_errno("hides what cannot be looked at");
    }
    if (!touched_.contains(status.st_ino)) {
        tree_.remove(directory, name);
        return true;
    }
    if (S_ISDIR(status.st_mode)) {
        const UniqueFd inner = open_entry(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        if (!inner) refuse_errno("hides a directory that cannot be opened");
        remove_lower_content(inner.get());
    }
    return false;
}

void LayerEntries::remove_lower_content(int directory) {
    UniqueFd readable{openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    const std::unique_ptr<DIR, CloseDirectory> listing{readable ? fdopendir(readable.get()) : nullptr};
    if (!listing) refuse_errno("hides the content of a directory that cannot be read");
    static_cast<void>(readable.release());
    // Twice at least: a file system may skip entries while others are removed.
    for (bool is_complete = false, found_less = true; !is_complete || found_less;) {
        is_complete = true;
        found_less = false;
        rewinddir(listing.get());
        while (const dirent* entry = readdir(listing.get())) {
            const std::string name = entry->d_name;
            if (name == "." || name == "..") continue;
            if (remove_lower(directory, name)) found_less = true;
        }
    }
}

}  // namespace brokerd
