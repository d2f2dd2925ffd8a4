#pragma once

#include <sys/stat.h>

#include <ctime>
#include <optional>
#include <string>
#include <string_view>

#include "common/os/unique_fd.h"
#include "common/result.h"

namespace brokerd {

/// Whether a write is on the disk when the call returns, or only visible.
enum class Durability { durable, visible };

/// Tells one state of a file from another without reading it.
struct FileIdentity {
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = 0;
    timespec modified{};

    [[nodiscard]] bool operator==(const FileIdentity& other) const noexcept;
};

/// A directory whose files are only ever replaced whole. Every error is one sentence that names the call's object, the
/// system's reason, and what to do. Any thread; no state but the descriptor.
class StateDirectory {
public:
    /// Makes the directory (0700; its parent exists) where it is missing, and opens it.
    [[nodiscard]] static Result<StateDirectory> open(const std::string& path);
    /// Opens it; nothing is made.
    [[nodiscard]] static Result<StateDirectory> open_existing(const std::string& path);

    [[nodiscard]] int fd() const noexcept { return fd_.get(); }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

    /// The whole file `name`, or nothing where there is none. Not a plain file, or longer than `limit`: an error.
    [[nodiscard]] Result<std::optional<std::string>> read(const std::string& name, std::size_t limit) const;

    /// Writes NAME.new, syncs it, renames it over `name` (mode 0600) and syncs the directory. After an error the old
    /// file is in place, unless only the last step failed: identity() tells.
    [[nodiscard]] Result<bool> replace(const std::string& name, std::string_view bytes, Durability how) const;

    [[nodiscard]] std::optional<FileIdentity> identity(const std::string& name) const;
    [[nodiscard]] Result<bool> sync() const;

private:
    StateDirectory(UniqueFd fd, std::string path) : fd_{std::move(fd)}, path_{std::move(path)} {}

    UniqueFd fd_;
    std::string path_;
};

/// The file of an open directory, as StateDirectory's functions do it.
[[nodiscard]] Result<std::optional<std::string>> read_file_at(int directory, const std::string& name, std::size_t limit,
                                                              std::string_view shown_path);
/// Durable: the file is synced before the rename; the directory is not.
[[nodiscard]] Result<bool> replace_file_at(int directory, const std::string& name, std::string_view bytes,
                                           Durability how, std::string_view shown_path);
/// Removes what a crash during replace_file_at() left of the new file.
void remove_unfinished_file_at(int directory, const std::string& name) noexcept;
[[nodiscard]] Result<bool> sync_directory(int directory, std::string_view shown_path);

}  // namespace brokerd
