#pragma once

#include <sys/stat.h>

#include <ctime>
#include <string>

#include "common/os/unique_fd.h"
#include "daemon/archive/inode_set.h"

namespace brokerd {

/// The times that directories shall have when a layer is done: unpacking into them changes them, so they are set last.
/// Kept in an unnamed file of the tree's own file system once they are many: memory stays bounded.
/// Inside the archive worker.
class DirectoryTimes {
public:
    /// `root` is borrowed.
    explicit DirectoryTimes(int root) : root_{root} {}

    /// The directory `path` (as in the archive) with this inode shall have `time`; the last word counts.
    void set(const std::string& path, ino_t inode, const timespec& time);
    /// The same, unless something has been said about it already.
    void keep(const std::string& path, const struct stat& status);
    /// Sets all times and forgets them. A path that leads to another inode by now is left alone.
    void apply();

private:
    void append(const std::string& path, ino_t inode, const timespec& time);
    void spill();
    void apply_records(std::string& records) const;

    const int root_;
    InodeSet known_;
    std::string recent_;
    UniqueFd spilled_;
};

}  // namespace brokerd
