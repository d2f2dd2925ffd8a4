#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "daemon/discovery/search_order.h"
#include "daemon/loop/core_loop.h"
#include "daemon/loop/inotify.h"
#include "daemon/loop/path_watch.h"

namespace brokerd {

/// The directories below the roots of a SearchOrder, watched: tells which entries to look at, and knows nothing of what
/// they contain. Roots may be missing, or be symbolic links; directories that are symbolic links are entered, too.
/// Thread: the core loop's. The loop and the SearchOrder outlive it.
class DirectoryTree {
public:
    /// Ours: Docker's own depth is one; a name "a/b" in a directory of its own (a/b/a/b.spec) needs three.
    static constexpr std::size_t kMaxDepth = 4;
    static constexpr std::size_t kMaxDirectories = 10'000;
    /// Files that may define a plugin, in the whole tree: a definition can have a file in each root.
    static constexpr std::size_t kMaxFiles = 20'000;
    /// Entries of any kind that are read of one directory.
    static constexpr std::size_t kMaxEntries = 100'000;
    /// Symbolic links whose targets are watched.
    static constexpr std::size_t kMaxLinks = 1'000;

    enum class Touch {
        seen,        ///< found by a full scan, changed or gone
        created,     ///< new, and perhaps still being written
        found,       ///< in a directory that has just come into view; perhaps new, perhaps in place of another
        attributes,  ///< owner or mode changed, or the number of links
    };
    struct Listener {
        /// Something may have happened to a file that may define a plugin.
        std::function<void(const EntryPath& file, Touch touch)> touched;
        /// What was told since the last call belongs together, and is all that is known now.
        std::function<void()> settled;
    };

    DirectoryTree(CoreLoop& loop, const SearchOrder& order, Listener listener);
    DirectoryTree(const DirectoryTree&) = delete;
    DirectoryTree& operator=(const DirectoryTree&) = delete;

    /// Forgets everything and reads it again: tells every file that was or is known. Does not call `settled`.
    void rescan();

    /// Whether files below this directory (empty for the root itself) are looked at.
    [[nodiscard]] bool contains(std::size_t root, std::string_view directory) const;

    /// Whether a limit was met, ours or the kernel's, since the last rescan: then not every change is noticed.
    [[nodiscard]] bool is_incomplete() const noexcept { return incomplete_; }
    /// Whether descriptors or memory ran out: then what is there may be missing altogether.
    [[nodiscard]] bool is_short() const noexcept { return is_short_; }

private:
    struct Directory {
        Inotify::Watch watch;         ///< none where the kernel had no more of them
        std::set<std::string> files;  ///< names of entries that may define a plugin
    };
    using Directories = std::map<std::string, Directory, std::less<>>;  ///< by relative path; a subtree is a range

    void on_events(const std::vector<Inotify::Event>& events);
    void on_entry(const EntryPath& directory, const Inotify::Event& event);
    void on_link(const EntryPath& link);

    /// What came into view as a directory is read; what is the same directory as before is left alone.
    void refresh_directory(const EntryPath& path, Touch touch = Touch::found);
    /// Reads a directory again even if it is the same: who may enter it has changed.
    void reread_directory(const EntryPath& path);
    void replace_directory(const EntryPath& path, Result<Inotify::Watch, std::error_code> watch, Touch touch);
    void add_directory(const EntryPath& path, Inotify::Watch watch, Touch touch);
    void read_directory(const EntryPath& path, Touch touch);
    void drop_directory(const EntryPath& path);
    void add_file(const EntryPath& directory, const std::string& name, Touch touch);
    /// Returns whether the entry is a symbolic link; if so, its target is watched.
    bool refresh_link(const EntryPath& path);

    [[nodiscard]] bool is_loop(const EntryPath& path, int descriptor) const;
    void meet_limit(const std::string& what);
    void warn_once(const std::string& what);

    const SearchOrder& order_;
    Listener listener_;
    PathWatch paths_;  ///< for roots and symbolic links: what leads there lies outside the tree
    Inotify inotify_;
    std::vector<std::unique_ptr<PathWatch::Watch>> root_watches_;
    std::vector<Directories> roots_;
    std::unordered_map<int, std::vector<EntryPath>> by_watch_;  ///< several paths can lead to one directory
    std::map<EntryPath, std::unique_ptr<PathWatch::Watch>> links_;
    std::size_t directory_count_ = 0;
    std::size_t file_count_ = 0;
    bool incomplete_ = false;
    bool is_short_ = false;
    std::set<std::string> warned_;
};

}  // namespace brokerd
