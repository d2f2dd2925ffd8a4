#pragma once

#include <sys/stat.h>

#include <functional>
#include <optional>
#include <string>

#include "common/os/unique_fd.h"
#include "daemon/archive/archive_path.h"
#include "daemon/archive/tar_stream.h"

namespace brokerd {

/// The tree that an archive is unpacked into. Every path is resolved beneath its root by openat2(2), as after a chroot.
/// Inside the archive worker; throws EntryRefused.
class RootTree {
public:
    /// Told of each directory before something in it changes: its path as the archive has it, and what it is.
    using BeforeChange = std::function<void(int directory, const std::string& path)>;

    /// `root` is borrowed.
    RootTree(int root, BeforeChange before_change) : root_{root}, before_change_{std::move(before_change)} {}

    [[nodiscard]] int root() const noexcept { return root_; }
    /// The directory `path`, to create something in it; missing ones are made (0755). Valid until the next call.
    [[nodiscard]] int enter(const std::string& path);
    /// The same for a look or a removal: nothing where it is missing or no directory.
    [[nodiscard]] std::optional<int> enter_existing(const std::string& path);

    /// Makes room for `name`: what is there goes, a directory with all its content.
    void remove(int directory, const std::string& name);
    /// Something has been removed, which may have been on the way to the current directory. Its descriptor stays open
    /// for the entry in progress.
    void forget_current() noexcept { is_current_ = false; }
    /// A new file with the stream's current content, of `size` bytes; it replaces what is there.
    [[nodiscard]] UniqueFd write_file(int directory, const std::string& name, std::uint64_t size, TarStream& stream);
    /// The directory `name`, which is kept if it is one, and made (0700) if not.
    [[nodiscard]] UniqueFd make_directory(int directory, const std::string& name);

private:
    [[nodiscard]] bool go_to(const std::string& path);
    void make_parents(const std::string& path);

    const int root_;
    const BeforeChange before_change_;
    std::string current_path_;  ///< of current_: most entries have the same parent as the one before
    UniqueFd current_;
    bool is_current_ = false;  ///< current_path_ still leads to current_
};

/// Throws EntryRefused with what errno says.
[[noreturn]] void refuse_errno(const char* what);

}  // namespace brokerd
