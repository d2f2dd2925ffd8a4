#include "daemon/archive/layer_entries.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>

#include "daemon/archive/entry_metadata.h"
#include "daemon/archive/escaped_name.h"
#include "daemon/archive/open_beneath.h"
#include "daemon/archive/refused.h"

namespace brokerd {
namespace {

ino_t inode_of(int fd) {
    struct stat status {};
    if (fstat(fd, &status) != 0) refuse_errno("cannot be looked at");
    return status.st_ino;
}

ino_t inode_of(int directory, const std::string& name) {
    struct stat status {};
    if (fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) refuse_errno("cannot be looked at");
    return status.st_ino;
}

dev_t device_of(archive_entry* entry) {
    constexpr dev_t kMaxMajor = 0xfff;  // Linux' dev_t (include/linux/kdev_t.h): 12 bits and 20
    constexpr dev_t kMaxMinor = 0xfffff;
    const dev_t major_number = archive_entry_rdevmajor(entry);
    const dev_t minor_number = archive_entry_rdevminor(entry);
    if (major_number > kMaxMajor || minor_number > kMaxMinor)
        throw EntryRefused{"is a device with a number that Linux does not know"};
    return makedev(static_cast<unsigned>(major_number), static_cast<unsigned>(minor_number));
}

}  // namespace

LayerEntries::LayerEntries(int root, const ArchiveLimits& limits)
    : limits_{limits},
      tree_{root, [this](int directory, const std::string& path) { before_change(directory, path); }},
      times_{root} {}

void LayerEntries::apply(archive_entry* entry, TarStream& stream) {
    if (++entries_ > limits_.entries)
        throw EntryRefused{fmt::format("is one too many: more than {} entries are not taken", limits_.entries)};
    const ArchivePath path = parse_archive_path(archive_entry_pathname(entry), limits_);
    if (path.is_root()) return apply_root(entry);
    if (apply_whiteout(path)) return;
    if (const char* const target = archive_entry_hardlink(entry)) return apply_hard_link(target, path);
    switch (archive_entry_filetype(entry)) {
        case AE_IFREG:
            return apply_file(entry, path, stream);
        case AE_IFDIR:
            return apply_directory(entry, path);
        case AE_IFLNK:
        case AE_IFCHR:
        case AE_IFBLK:
        case AE_IFIFO:
            return apply_special(entry, path);
        default:
            throw EntryRefused{"is of a type that no layer has"};
    }
}

void LayerEntries::end_layer() {
    times_.apply();
    touched_.clear();
    is_first_layer_ = false;
}

/// A directory keeps its time, whatever changes in it; and it, and what is above it, is not a lower layer's alone now.
void LayerEntries::before_change(int directory, const std::string& path) {
    struct stat status {};
    if (fstat(directory, &status) != 0) refuse_errno("has a parent that cannot be looked at");
    times_.keep(path, status);
    if (is_first_layer_) return;
    const ino_t root = inode_of(tree_.root());
    UniqueFd above;
    int at = directory;
    for (ino_t inode = status.st_ino; touched_.insert(inode) && inode != root; inode = inode_of(at)) {
        UniqueFd next{openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC)};
        if (!next) refuse_errno("has a parent that cannot be opened");
        above = std::move(next);
        at = above.get();
    }
}

void LayerEntries::note_touched(ino_t inode) {
    if (!is_first_layer_) touched_.insert(inode);
}

void LayerEntries::apply_root(archive_entry* entry) {
    if (archive_entry_filetype(entry) != AE_IFDIR || archive_entry_hardlink(entry) != nullptr)
        throw EntryRefused{"would put something else in the place of the rootfs"};
    const UniqueFd root = open_in_root(tree_.root(), ".", O_RDONLY | O_DIRECTORY);
    if (!root) refuse_errno("cannot be opened");
    xattrs_skipped_ += give_metadata(root.get(), entry, limits_);
    times_.set("", inode_of(root.get()), entry_time(entry));
}

void LayerEntries::apply_file(archive_entry* entry, const ArchivePath& path, TarStream& stream) {
    const la_int64_t size = archive_entry_size(entry);
    if (size < 0) throw EntryRefused{"has a negative size"};
    if (static_cast<std::uint64_t>(size) > limits_.bytes - bytes_)
        throw EntryRefused{fmt::format("is too much: more than {} bytes are not unpacked", limits_.bytes)};
    bytes_ += static_cast<std::uint64_t>(size);
    const int directory = tree_.enter(path.parent);
    const UniqueFd file = tree_.write_file(directory, path.name, static_cast<std::uint64_t>(size), stream);
    xattrs_skipped_ += give_metadata(file.get(), entry, limits_);
    if (!is_first_layer_) note_touched(inode_of(file.get()));
}

void LayerEntries::apply_directory(archive_entry* entry, const ArchivePath& path) {
    const UniqueFd made = tree_.make_directory(tree_.enter(path.parent), path.name);
    xattrs_skipped_ += give_metadata(made.get(), entry, limits_);
    const ino_t inode = inode_of(made.get());
    times_.set(path.str(), inode, entry_time(entry));
    note_touched(inode);
}

void LayerEntries::apply_hard_link(const char* target, const ArchivePath& path) {
    const ArchivePath to = parse_archive_path(target, limits_);
    const UniqueFd from = open_in_root(tree_.root(), to.parent.empty() ? "." : to.parent.c_str(), O_PATH | O_DIRECTORY);
    struct stat status {};
    if (to.is_root() || !from || fstatat(from.get(), to.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
        throw EntryRefused{fmt::format("is a hard link to {}, which is not there", escaped_name(target))};
    if (S_ISDIR(status.st_mode)) throw EntryRefused{"is a hard link to a directory"};
    if (status.st_nlink >= limits_.links)
        throw EntryRefused{fmt::format("is one too many: a file may have {} names", limits_.links)};
    const int directory = tree_.enter(path.parent);
    const auto link = [&] { return linkat(from.get(), to.name.c_str(), directory, path.name.c_str(), 0) == 0; };
    bool done = link();
    if (!done && errno == EEXIST) {
        if (inode_of(directory, path.name) == status.st_ino) {
            done = true;
        } else {
            tree_.remove(directory, path.name);
            done = link();
        }
    }
    if (!done) refuse_errno("is a hard link that cannot be made");
    note_touched(status.st_ino);
}

void LayerEntries::apply_special(archive_entry* entry, const ArchivePath& path) {
    const int directory = tree_.enter(path.parent);
    const char* const name = path.name.c_str();
    const auto type = archive_entry_filetype(entry);
    const bool is_device = type == AE_IFCHR || type == AE_IFBLK;
    const dev_t device = is_device ? device_of(entry) : 0;
    const char* const target = archive_entry_symlink(entry);
    if (type == AE_IFLNK && target == nullptr) throw EntryRefused{"is a symbolic link without a readable target"};
    const auto make = [&] {
        if (type == AE_IFLNK) return symlinkat(target, directory, name) == 0;
        return mknodat(directory, name, static_cast<mode_t>(type) | mode_t{0600}, device) == 0;
    };
    if (!make()) {
        if (errno != EEXIST) refuse_errno("cannot be created");
        tree_.remove(directory, path.name);
        if (!make()) refuse_errno("cannot be created");
    }
    xattrs_skipped_ += give_metadata(directory, path.name, entry);
    if (!is_first_layer_) note_touched(inode_of(directory, path.name));
}

}  // namespace brokerd
