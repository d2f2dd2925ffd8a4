#include "daemon/proxy/published_sockets.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <stdexcept>

#include "common/os/exclusive_lock.h"
#include "common/os/system_error.h"
#include "daemon/loop/log.h"

// Why a hard link and not a second socket or a symbolic link: a second socket could not be told from a plugin's own
// after a crash, and dockerd's scan of the directory does not follow symbolic links (it does for a single name), so
// that a query by capability would miss the plugin.
//
// A socket that systemd has kept since an earlier process is gone on with as it is. All else is bound anew.
//
// Order of publishing anew, so that a crash at any point leaves every file of ours provable: an old RUNTIME socket is
// renamed aside (its inode stays below RUNTIME), the new one is bound, linked over the engine's name, and only then is
// the old one deleted.

namespace brokerd {
namespace fs = std::filesystem;
namespace {

/// Names beginning with a dot are no plugins, neither for Docker's NAME.sock look-up nor for ours.
constexpr std::string_view kAside = ".old-";
constexpr std::string_view kFresh = ".brokerd-new";
constexpr int kBacklog = SOMAXCONN;

std::optional<struct stat> status_of(const std::string& path) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) return std::nullopt;
    return status;
}

bool is_socket(const struct stat& status) {
    return S_ISSOCK(status.st_mode);
}

bool is_same_file(const struct stat& status, const std::string& path) {
    const auto other = status_of(path);
    return other && other->st_dev == status.st_dev && other->st_ino == status.st_ino;
}

/// For root and `group`. False, with errno, where that fails.
bool set_access(const std::string& path, std::optional<gid_t> group) {
    return ::chmod(path.c_str(), 0660) == 0 && (!group || ::chown(path.c_str(), static_cast<uid_t>(-1), *group) == 0);
}

/// Bound, listening, for root and `group`; nothing is left at `path` where that fails.
Result<UniqueFd> listen_on(const std::string& path, std::optional<gid_t> group) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        return fail(fmt::format(
            "{} is longer than the {} bytes that a socket path can have; use a shorter name or --runtime-root", path,
            sizeof address.sun_path - 1));
    }
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    UniqueFd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    if (!socket) return fail(fmt::format("no socket for {}: {}", path, errno_text(errno)));
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        return fail(fmt::format("{} cannot be bound: {}", path, errno_text(errno)));
    }
    // Nobody can connect before listen(): the mode that the umask gave is never in force.
    if (!set_access(path, group) || ::listen(socket.get(), kBacklog) != 0) {
        const int code = errno;
        ::unlink(path.c_str());
        return fail(fmt::format("{} cannot be made ready: {}", path, errno_text(code)));
    }
    return socket;
}

/// A second brokerd on the same directory would take the first one's sockets away. The lock ends with the process.
UniqueFd lock_directory(const std::string& path) {
    UniqueFd directory{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!directory) throw_errno("opening " + path);
    if (lock_exclusively(directory.get())) return directory;
    if (errno != EWOULDBLOCK) throw_errno("locking " + path);
    throw std::runtime_error{
        fmt::format("another brokerd uses {}; stop it first, or give this one another --runtime-root", path)};
}

}  // namespace

PublishedSockets::PublishedSockets(std::string runtime_directory, std::string engine_directory,
                                   std::optional<gid_t> group, KeptSockets kept)
    : own_root_{std::move(runtime_directory) + "/plugins"},
      engine_root_{std::move(engine_directory)},
      group_{group},
      kept_{std::move(kept)} {
    fs::create_directories(own_root_);
    lock_ = lock_directory(own_root_);
    fs::create_directories(engine_root_);
    collect_leftovers();
}

void PublishedSockets::collect_leftovers() {
    leftovers_ = kept_.files(own_root_);
    std::error_code ignored;
    for (const auto& entry :
         fs::recursive_directory_iterator{own_root_, fs::directory_options::skip_permission_denied, ignored}) {
        const auto status = status_of(entry.path());
        if (status && is_socket(*status)) leftovers_.emplace(status->st_dev, status->st_ino);
    }
}

bool PublishedSockets::is_ours(const struct stat& status) const {
    const Inode inode{status.st_dev, status.st_ino};
    return leftovers_.contains(inode) || published_inodes_.contains(inode);
}

Result<PublishedSockets::Published> PublishedSockets::publish(const PluginName& name, bool for_engines) {
    const std::string path = own_path(name);
    Bound bound{go_on_with_kept(name, path), {}, {}};
    if (!bound.listener) {
        auto anew = bind_anew(name, path);
        if (!anew) return fail(anew.error());
        bound = *std::move(anew);
    }
    Published published;
    published.listener = std::move(bound.listener);
    published.paths.push_back(path);
    if (for_engines) {
        published.warning = link_for_engines(name, path);
        if (published.warning.empty()) published.paths.push_back(engine_path(name));
    } else {
        remove_if_ours(engine_path(name));
    }
    if (bound.replaced) discard(bound.aside, *bound.replaced, engine_path(name));
    return published;
}

/// Empty where nothing was kept that can be used.
UniqueFd PublishedSockets::go_on_with_kept(const PluginName& name, const std::string& path) {
    UniqueFd kept = kept_.take(name, path);
    if (!kept) return kept;
    const auto status = status_of(path);
    if (!status || !set_access(path, group_)) {
        kept_.forget(name);
        return UniqueFd{};
    }
    note_published(name, *status);
    return kept;
}

void PublishedSockets::note_published(const PluginName& name, const struct stat& status) {
    const Inode inode{status.st_dev, status.st_ino};
    published_.insert_or_assign(name.str(), inode);
    published_inodes_.insert(inode);
}

Result<PublishedSockets::Bound> PublishedSockets::bind_anew(const PluginName& name, const std::string& path) {
    std::error_code error;
    fs::create_directories(fs::path{path}.parent_path(), error);
    if (error) return fail(fmt::format("the directory of {} cannot be made: {}", path, error.message()));

    Bound bound{{}, own_root_ + "/" + std::string{kAside} + std::to_string(::getpid()), status_of(path)};
    if (bound.replaced && !is_socket(*bound.replaced)) {
        return fail(fmt::format(
            "{} is there and is no socket; a plugin's name cannot be the beginning of another's path", path));
    }
    if (bound.replaced && ::rename(path.c_str(), bound.aside.c_str()) != 0) {
        return fail(fmt::format("the old {} cannot be moved aside: {}", path, errno_text(errno)));
    }
    auto socket = listen_on(path, group_);
    if (!socket) {
        if (bound.replaced) ::rename(bound.aside.c_str(), path.c_str());
        return fail(socket.error());
    }
    bound.listener = *std::move(socket);
    if (const auto status = status_of(path)) {
        note_published(name, *status);
        kept_.keep(name, bound.listener.get(), *status);
    }
    return bound;
}

/// Deletes a socket of an earlier process under all its names. Its inode number is free from then on, perhaps for the
/// next socket that is bound: it must not stay known as a leftover.
void PublishedSockets::discard(const std::string& aside, const struct stat& status, const std::string& engine_path) {
    const auto linked = status_of(engine_path);
    const bool is_linked = linked && linked->st_dev == status.st_dev && linked->st_ino == status.st_ino;
    if (is_linked && ::unlink(engine_path.c_str()) != 0) return;  // the next start knows it by the other name
    leftovers_.erase({status.st_dev, status.st_ino});
    ::unlink(aside.c_str());
}

bool PublishedSockets::restore(const PluginName& name) {
    if (!published_.contains(name.str()) || status_of(engine_path(name))) return false;
    return link_for_engines(name, own_path(name)).empty();
}

/// Empty, or why it could not be done.
std::string PublishedSockets::link_for_engines(const PluginName& name, const std::string& from) {
    const std::string path = engine_path(name);
    if (path.size() >= sizeof(sockaddr_un::sun_path)) {
        return fmt::format(
            "{} is longer than a socket path can be, so engines cannot use it; give the plugin a shorter name", path);
    }
    std::error_code error;
    fs::create_directories(fs::path{path}.parent_path(), error);
    if (error) return fmt::format("the directory of {} cannot be made: {}", path, error.message());
    const auto status = status_of(path);
    if (status) {
        if (!is_ours(*status)) {
            return fmt::format(
                "{} is there already and is not brokerd's; remove it to let engines use the brokered plugin", path);
        }
        if (is_same_file(*status, from)) return {};  // a link of it, as rename() would see and leave both names
    }
    const std::string fresh = engine_root_ + "/" + std::string{kFresh};
    ::unlink(fresh.c_str());
    if (::link(from.c_str(), fresh.c_str()) != 0 || ::rename(fresh.c_str(), path.c_str()) != 0) {
        if (errno == EXDEV) {
            return fmt::format(
                "{} is on another file system than {}, so engines cannot see the plugin; set --runtime-root to a "
                "directory on the same one",
                engine_root_, own_root_);
        }
        return fmt::format("{} cannot be made: {}", path, errno_text(errno));
    }
    if (status) leftovers_.erase({status->st_dev, status->st_ino});  // as in discard()
    return {};
}

void PublishedSockets::withdraw(const PluginName& name) {
    const auto found = published_.find(name.str());
    if (found == published_.end()) return;
    kept_.forget(name);
    // The engine's name first: while it exists, the inode below our own root proves that it is ours.
    if (remove_if_ours(engine_path(name))) {
        remove_empty_parents(engine_root_, engine_path(name));
        ::unlink(own_path(name).c_str());
        remove_empty_parents(own_root_, own_path(name));
    } else {
        leftovers_.insert(found->second);  // both names stay, for whoever comes next
    }
    published_inodes_.erase(found->second);
    published_.erase(found);
}

bool PublishedSockets::remove_if_ours(const std::string& path) {
    const auto status = status_of(path);
    if (!status || !is_socket(*status) || !is_ours(*status)) return true;
    return ::unlink(path.c_str()) == 0 || errno == ENOENT;
}

void PublishedSockets::remove_empty_parents(const std::string& root, const std::string& path) {
    for (fs::path parent = fs::path{path}.parent_path(); parent.string().size() > root.size();
         parent = parent.parent_path()) {
        if (::rmdir(parent.c_str()) != 0) return;
    }
}

void PublishedSockets::remove_leftovers() {
    std::error_code ignored;
    std::vector<std::pair<std::string, Inode>> stale;
    // The engine's directory first, for the same reason as in withdraw().
    for (const std::string& root : {engine_root_, own_root_}) {
        for (const auto& entry :
             fs::recursive_directory_iterator{root, fs::directory_options::skip_permission_denied, ignored}) {
            const auto status = status_of(entry.path());
            if (!status || !is_socket(*status)) continue;
            const Inode inode{status->st_dev, status->st_ino};
            if (leftovers_.contains(inode) && !published_inodes_.contains(inode))
                stale.emplace_back(entry.path(), inode);
        }
    }
    std::set<Inode> kept;  // a name that cannot be removed keeps the others, which prove that it is ours
    for (const auto& [path, inode] : stale) {
        if (kept.contains(inode)) continue;
        log_info("removing {}, published by an earlier brokerd for a plugin that is gone", path);
        if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
            log_warning("cannot remove {}: {}", path, errno_text(errno));
            kept.insert(inode);
        }
        remove_empty_parents(path.starts_with(own_root_ + "/") ? own_root_ : engine_root_, path);
    }
    leftovers_ = std::move(kept);
    kept_.forget_untaken();
}

}  // namespace brokerd
