// An event says that something happened to an entry, not what is there now: by the time it is read the entry may have
// changed again. So an event here never edits the picture; it makes one entry be looked at anew. A directory is watched
// before it is read, so that what changes while it is read is an event later. A directory that is new under its name
// (the kernel's watch number tells: it is one per inode) is dropped with all below it and read again, which makes
// moves, replacements and deletions the same case.

#include "daemon/discovery/directory_tree.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "common/os/shortage.h"
#include "common/os/system_error.h"
#include "common/plugin_name.h"
#include "daemon/loop/log.h"

namespace brokerd {
namespace {

constexpr std::uint32_t kMask = IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_ATTRIB |
                                IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

std::string join(const std::string& directory, std::string_view name) {
    return directory.empty() ? std::string{name} : directory + '/' + std::string{name};
}

std::string_view last_part(std::string_view path) {
    return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}

std::string_view parent_of(std::string_view path) {
    const std::size_t slash = path.rfind('/');
    return path.substr(0, slash == std::string_view::npos ? 0 : slash);
}

/// Of the directory itself; the root has depth 0.
std::size_t depth_of(std::string_view directory) {
    if (directory.empty()) return 0;
    return static_cast<std::size_t>(std::count(directory.begin(), directory.end(), '/')) + 1;
}

/// The entries of a sorted container whose paths are below `directory`: '0' is the character after '/'.
struct Below {
    std::string first;
    std::string last;
    explicit Below(const std::string& directory) : first{directory + '/'}, last{directory + '0'} {}
};

class OpenDirectory {
public:
    explicit OpenDirectory(const std::string& path)
        : stream_{opendir(path.c_str())}, problem_{stream_ == nullptr ? errno : 0} {}
    ~OpenDirectory() {
        if (stream_ != nullptr) closedir(stream_);
    }
    OpenDirectory(const OpenDirectory&) = delete;
    OpenDirectory& operator=(const OpenDirectory&) = delete;

    // NOLINTNEXTLINE(concurrency-mt-unsafe): POSIX lets threads read different streams, and this one is ours alone
    [[nodiscard]] const dirent* next() { return stream_ == nullptr ? nullptr : readdir(stream_); }

    /// Why there is nothing to read, as errno; 0: there is.
    [[nodiscard]] int problem() const noexcept { return problem_; }

private:
    DIR* stream_;
    int problem_;
};

}  // namespace

DirectoryTree::DirectoryTree(CoreLoop& loop, const SearchOrder& order, Listener listener)
    : order_{order},
      listener_{std::move(listener)},
      paths_{loop, PathWatch::Contents::watched},
      inotify_{loop, kMask, [this](const std::vector<Inotify::Event>& events) { on_events(events); }},
      roots_(order.root_count()) {
    for (std::size_t root = 0; root < roots_.size(); ++root) {
        root_watches_.push_back(paths_.watch(order.absolute({root, {}}), [this, root] {
            reread_directory({root, {}});  // its owner or mode, or one above it, may have changed
            listener_.settled();
        }));
    }
}

bool DirectoryTree::contains(std::size_t root, std::string_view directory) const {
    return roots_[root].contains(directory);
}

void DirectoryTree::rescan() {
    incomplete_ = is_short_ = false;
    for (std::size_t root = 0; root < roots_.size(); ++root) {
        drop_directory({root, {}});
        refresh_directory({root, {}}, Touch::seen);
    }
}

void DirectoryTree::on_events(const std::vector<Inotify::Event>& events) {
    for (const Inotify::Event& event : events) {
        if ((event.mask & IN_Q_OVERFLOW) != 0) {
            log_warning("more happened in the plugin directories than inotify could queue; reading them again");
            rescan();  // which is newer than the events that are left
            break;
        }
        const auto found = by_watch_.find(event.watch);
        if (found == by_watch_.end()) continue;
        const std::vector<EntryPath> directories = found->second;  // a copy: what follows changes the original
        for (const EntryPath& directory : directories) {
            if (!event.name.empty()) {
                on_entry(directory, event);
            } else if ((event.mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)) != 0) {
                refresh_directory(directory);
            }
        }
    }
    listener_.settled();
}

void DirectoryTree::on_entry(const EntryPath& directory, const Inotify::Event& event) {
    if (event.name.starts_with('.') || !contains(directory.root, directory.relative)) return;
    const std::string name{event.name};
    const EntryPath path{directory.root, join(directory.relative, name)};
    const bool vanished = (event.mask & (IN_DELETE | IN_MOVED_FROM)) != 0;
    bool is_link = false;
    if (vanished) {
        links_.erase(path);
    } else if ((event.mask & (IN_ISDIR | IN_CLOSE_WRITE)) == 0) {
        is_link = refresh_link(path);
    }
    constexpr std::uint32_t kDirectoryAttributes = IN_ISDIR | IN_ATTRIB;
    if ((event.mask & kDirectoryAttributes) == kDirectoryAttributes && contains(path.root, path.relative)) {
        reread_directory(path);
    } else if (is_link || (event.mask & IN_ISDIR) != 0 || contains(path.root, path.relative)) {
        refresh_directory(path);
    }
    if (!SearchOrder::may_define(path.root, name)) return;
    if (vanished) {
        const auto entry = roots_[directory.root].find(directory.relative);
        if (entry != roots_[directory.root].end()) file_count_ -= entry->second.files.erase(name);
        listener_.touched(path, Touch::seen);
    } else {
        const bool created = (event.mask & IN_CREATE) != 0;
        const bool attributes = (event.mask & IN_ATTRIB) != 0;
        add_file(directory, name, created ? Touch::created : attributes ? Touch::attributes : Touch::seen);
    }
}

void DirectoryTree::on_link(const EntryPath& link) {
    refresh_directory(link);
    if (SearchOrder::may_define(link.root, last_part(link.relative))) listener_.touched(link, Touch::seen);
    listener_.settled();
}

void DirectoryTree::refresh_directory(const EntryPath& path, Touch touch) {
    if (!path.relative.empty()) {
        if (!SearchOrder::may_enter(path.root, last_part(path.relative))) return;
        if (!contains(path.root, parent_of(path.relative))) return;
    }
    auto watch = inotify_.watch(order_.absolute(path));
    const auto known = roots_[path.root].find(path.relative);
    const bool is_known = known != roots_[path.root].end();
    if (watch && is_known && known->second.watch.descriptor() == watch->descriptor()) return;
    replace_directory(path, std::move(watch), touch);
}

void DirectoryTree::reread_directory(const EntryPath& path) {
    replace_directory(path, inotify_.watch(order_.absolute(path)), Touch::seen);
}

void DirectoryTree::replace_directory(const EntryPath& path, Result<Inotify::Watch, std::error_code> watch,
                                      Touch touch) {
    drop_directory(path);
    if (watch) {
        if (!is_loop(path, watch->descriptor())) add_directory(path, std::move(*watch), touch);
        return;
    }
    if (watch.error() == std::errc::no_space_on_device) {
        meet_limit("changes in some of them, because fs.inotify.max_user_watches is too low (raise it with sysctl)");
        add_directory(path, {}, touch);
    } else if (watch.error() == std::errc::permission_denied) {
        warn_once(fmt::format("{} ({})", order_.absolute(path), watch.error().message()));
    }
}

void DirectoryTree::add_directory(const EntryPath& path, Inotify::Watch watch, Touch touch) {
    if (depth_of(path.relative) > kMaxDepth)
        return warn_once(fmt::format("directories more than {} levels deep", kMaxDepth));
    if (directory_count_ == kMaxDirectories)
        return meet_limit(fmt::format("more than {} directories", kMaxDirectories));
    if (watch.descriptor() >= 0) by_watch_[watch.descriptor()].push_back(path);
    roots_[path.root].emplace(path.relative, Directory{std::move(watch), {}});
    ++directory_count_;
    read_directory(path, touch);
}

void DirectoryTree::read_directory(const EntryPath& path, Touch touch) {
    OpenDirectory open{order_.absolute(path)};
    if (is_shortage(open.problem())) {
        is_short_ = true;
        return warn_once(fmt::format("some directories for now ({})", errno_text(open.problem())));
    }
    std::size_t count = 0;
    while (const dirent* const entry = open.next()) {
        const std::string name{static_cast<const char*>(entry->d_name)};
        if (name.starts_with('.')) continue;
        if (++count > kMaxEntries) return meet_limit(fmt::format("more than {} entries in one directory", kMaxEntries));
        const EntryPath child{path.root, join(path.relative, name)};
        const bool may_be_link = entry->d_type == DT_LNK || entry->d_type == DT_UNKNOWN;
        if (may_be_link) refresh_link(child);
        if (may_be_link || entry->d_type == DT_DIR) refresh_directory(child, touch);
        if (SearchOrder::may_define(path.root, name)) add_file(path, name, touch);
    }
}

void DirectoryTree::drop_directory(const EntryPath& path) {
    Directories& directories = roots_[path.root];
    const auto drop = [&](Directories::iterator directory) {
        const EntryPath dropped{path.root, directory->first};
        const auto users = by_watch_.find(directory->second.watch.descriptor());
        if (users != by_watch_.end() && std::erase(users->second, dropped) > 0 && users->second.empty())
            by_watch_.erase(users);
        for (const std::string& file : directory->second.files) {
            listener_.touched({path.root, join(directory->first, file)}, Touch::seen);
        }
        file_count_ -= directory->second.files.size();
        --directory_count_;
        return directories.erase(directory);
    };
    const bool all = path.relative.empty();
    const Below below{path.relative};
    for (auto at = all ? directories.begin() : directories.lower_bound(below.first);
         at != directories.end() && (all || at->first < below.last);) {
        at = drop(at);
    }
    if (const auto itself = directories.find(path.relative); itself != directories.end()) drop(itself);
    // The link that `path` itself may be is its parent's business.
    const auto first = links_.lower_bound({path.root, all ? std::string{} : below.first});
    const auto last = all ? links_.lower_bound({path.root + 1, {}}) : links_.lower_bound({path.root, below.last});
    links_.erase(first, last);
}

void DirectoryTree::add_file(const EntryPath& directory, const std::string& name, Touch touch) {
    const auto entry = roots_[directory.root].find(directory.relative);
    if (entry == roots_[directory.root].end()) return;
    if (!entry->second.files.contains(name)) {
        if (file_count_ == kMaxFiles) return meet_limit(fmt::format("more than {} files", kMaxFiles));
        entry->second.files.insert(name);
        ++file_count_;
    }
    listener_.touched({directory.root, join(directory.relative, name)}, touch);
}

bool DirectoryTree::refresh_link(const EntryPath& path) {
    struct stat status {};
    const std::string file = order_.absolute(path);
    const bool is_link = lstat(file.c_str(), &status) == 0 && S_ISLNK(status.st_mode);
    if (!is_link) {
        links_.erase(path);
    } else if (!links_.contains(path)) {
        if (links_.size() == kMaxLinks) {
            meet_limit(fmt::format("more than {} symbolic links", kMaxLinks));
        } else {
            links_.emplace(path, paths_.watch(file, [this, path] { on_link(path); }));
        }
    }
    return is_link;
}

bool DirectoryTree::is_loop(const EntryPath& path, int descriptor) const {
    std::string_view above = path.relative;
    while (!above.empty()) {
        above = parent_of(above);
        const auto directory = roots_[path.root].find(above);
        if (directory != roots_[path.root].end() && directory->second.watch.descriptor() == descriptor) return true;
    }
    return false;
}

void DirectoryTree::meet_limit(const std::string& what) {
    incomplete_ = true;
    warn_once(what);
}

void DirectoryTree::warn_once(const std::string& what) {
    constexpr std::size_t kMaxWarnings = 100;
    if (warned_.size() < kMaxWarnings && warned_.insert(what).second) {
        log_warning("the plugin directories hold what brokerd does not look at: {}", escaped(what));
    }
}

}  // namespace brokerd
