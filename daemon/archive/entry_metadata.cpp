#include "daemon/archive/entry_metadata.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <string_view>

#include "daemon/archive/kept_xattr.h"
#include "daemon/archive/refused.h"
#include "daemon/archive/root_tree.h"

namespace brokerd {
namespace {

uid_t owner_id(la_int64_t id) {
    // The last number means "leave it" to chown(2).
    if (id < 0 || id >= std::numeric_limits<uid_t>::max())
        throw EntryRefused{fmt::format("has an owner that Linux does not know: {}", id)};
    return static_cast<uid_t>(id);
}

std::uint64_t give_xattrs(int fd, archive_entry* entry, const ArchiveLimits& limits) {
    std::uint64_t skipped = 0;
    std::uint64_t bytes = 0;
    const char* name = nullptr;
    const void* value = nullptr;
    std::size_t size = 0;
    archive_entry_xattr_reset(entry);
    while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
        if (name == nullptr) throw EntryRefused{"has an extended attribute without a name"};
        bytes += std::string_view{name}.size() + size;
        if (bytes > limits.xattr_bytes)
            throw EntryRefused{fmt::format("has more than {} bytes of extended attributes", limits.xattr_bytes)};
        if (is_kept_xattr(name) && fsetxattr(fd, name, value, size, 0) == 0) continue;
        const bool is_capability = name == kCapabilityXattr;
        if (is_capability) refuse_errno("has a file capability that cannot be set");
        if (is_kept_xattr(name) && errno != ENOTSUP && errno != EPERM)
            refuse_errno("has an extended attribute that cannot be set");
        ++skipped;
    }
    return skipped;
}

}  // namespace

timespec entry_time(archive_entry* entry) {
    const long nanoseconds = archive_entry_mtime_nsec(entry);
    return {archive_entry_mtime(entry), nanoseconds < 0 || nanoseconds > 999'999'999 ? 0 : nanoseconds};
}

mode_t entry_mode(archive_entry* entry) {
    return archive_entry_perm(entry) & mode_t{07777};
}

std::uint64_t give_metadata(int fd, archive_entry* entry, const ArchiveLimits& limits) {
    if (fchown(fd, owner_id(archive_entry_uid(entry)), owner_id(archive_entry_gid(entry))) != 0)
        refuse_errno("cannot be given its owner");
    if (fchmod(fd, entry_mode(entry)) != 0) refuse_errno("cannot be given its mode");
    const std::uint64_t skipped = give_xattrs(fd, entry, limits);
    const timespec times[2] = {entry_time(entry), entry_time(entry)};
    if (futimens(fd, times) != 0) refuse_errno("cannot be given its time");
    return skipped;
}

std::uint64_t give_metadata(int directory, const std::string& name, archive_entry* entry) {
    const uid_t user = owner_id(archive_entry_uid(entry));
    const gid_t group = owner_id(archive_entry_gid(entry));
    if (fchownat(directory, name.c_str(), user, group, AT_SYMLINK_NOFOLLOW) != 0)
        refuse_errno("cannot be given its owner");
    const bool is_link = archive_entry_filetype(entry) == AE_IFLNK;  // which have no mode
    if (!is_link && fchmodat(directory, name.c_str(), entry_mode(entry), 0) != 0)
        refuse_errno("cannot be given its mode");
    const timespec times[2] = {entry_time(entry), entry_time(entry)};
    if (utimensat(directory, name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) refuse_errno("cannot be given its time");
    return static_cast<std::uint64_t>(archive_entry_xattr_count(entry));
}

}  // namespace brokerd
