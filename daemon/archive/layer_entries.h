#pragma once

#include <archive_entry.h>

#include <cstdint>

#include "daemon/archive/directory_times.h"
#include "daemon/archive/inode_set.h"
#include "daemon/archive/limits.h"
#include "daemon/archive/root_tree.h"
#include "daemon/archive/tar_stream.h"

namespace brokerd {

/// Applies layers' entries to a rootfs, one layer after the other; the rules are those of unpack_layers().
/// Inside the archive worker; throws Refused and EntryRefused.
class LayerEntries {
public:
    /// `root` and `limits` are borrowed.
    LayerEntries(int root, const ArchiveLimits& limits);

    void apply(archive_entry* entry, TarStream& stream);
    /// After the last entry of each layer.
    void end_layer();

    [[nodiscard]] std::uint64_t entries() const noexcept { return entries_; }
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
    [[nodiscard]] std::uint64_t xattrs_skipped() const noexcept { return xattrs_skipped_; }

private:
    void before_change(int directory, const std::string& path);
    void note_touched(ino_t inode);
    [[nodiscard]] bool apply_whiteout(const ArchivePath& path);
    void apply_root(archive_entry* entry);
    void apply_file(archive_entry* entry, const ArchivePath& path, TarStream& stream);
    void apply_directory(archive_entry* entry, const ArchivePath& path);
    void apply_hard_link(const char* target, const ArchivePath& path);
    void apply_special(archive_entry* entry, const ArchivePath& path);
    bool remove_lower(int directory, const std::string& name);  ///< true: it is gone as a whole
    void remove_lower_content(int directory);

    const ArchiveLimits& limits_;
    RootTree tree_;
    DirectoryTimes times_;
    /// What this layer has put in place, and the directories above it: whiteouts leave that alone.
    InodeSet touched_;
    bool is_first_layer_ = true;  ///< there is nothing lower, so only directories need be known
    std::uint64_t entries_ = 0;
    std::uint64_t bytes_ = 0;
    std::uint64_t xattrs_skipped_ = 0;
};

}  // namespace brokerd
