#include "daemon/archive/root_tree.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "common/os/system_error.h"
#include "daemon/archive/open_beneath.h"
#include "daemon/archive/refused.h"
#include "daemon/archive/remove_tree.h"

namespace brokerd {
namespace {

constexpr mode_t kParentMode = 0755;
constexpr int kEnter = O_PATH | O_DIRECTORY;

const char* or_root(const std::string& path) {
    return path.empty() ? "." : path.c_str();
}

void write_at(int fd, std::string_view bytes, std::uint64_t offset) {
    while (!bytes.empty()) {
        const ssize_t done = pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) refuse_errno("cannot be written");
        bytes.remove_prefix(static_cast<std::size_t>(done));
        offset += static_cast<std::uint64_t>(done);
    }
}

}  // namespace

void refuse_errno(const char* what) {
    const int cause = errno;
    const bool is_full = cause == ENOSPC || cause == EDQUOT;
    const std::string why =
        fmt::format("{}: {}{}", what, errno_text(cause), is_full ? "; free some space and try again" : "");
    if (is_full || cause == EIO || cause == EROFS || cause == ENOMEM || cause == EMFILE || cause == ENFILE)
        throw HostFailure{why};
    throw EntryRefused{why};
}

bool RootTree::go_to(const std::string& path) {
    if (is_current_ && path == current_path_) return true;
    current_ = open_in_root(root_, or_root(path), kEnter);
    is_current_ = static_cast<bool>(current_);
    current_path_ = path;
    return is_current_;
}

int RootTree::enter(const std::string& path) {
    bool there = go_to(path);
    if (!there && errno == ENOENT) {
        make_parents(path);
        there = go_to(path);
    }
    if (!there && errno == ENOTDIR) throw EntryRefused{"lies in something that is no directory"};
    if (!there) refuse_errno("has a parent that cannot be opened");
    before_change_(current_.get(), path);
    return current_.get();
}

std::optional<int> RootTree::enter_existing(const std::string& path) {
    if (!go_to(path)) {
        if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) return std::nullopt;
        refuse_errno("has a parent that cannot be opened");
    }
    before_change_(current_.get(), path);
    return current_.get();
}

void RootTree::make_parents(const std::string& path) {
    UniqueFd last = open_in_root(root_, ".", kEnter);
    std::string upper;
    for (std::size_t end = 0; last && end < path.size();) {
        const std::size_t begin = upper.empty() ? 0 : upper.size() + 1;
        end = std::min(path.find('/', begin), path.size());
        const std::string name = path.substr(begin, end - begin);
        const std::string lower = path.substr(0, end);
        UniqueFd next = open_in_root(root_, lower.c_str(), kEnter);
        if (!next && errno == ENOENT) {
            before_change_(last.get(), upper);
            if (mkdirat(last.get(), name.c_str(), kParentMode) != 0) {
                if (errno == EEXIST) throw EntryRefused{"lies in a symbolic link that leads nowhere"};
                refuse_errno("has a parent that cannot be created");
            }
            next = open_in_root(root_, lower.c_str(), kEnter);
        }
        last = std::move(next);
        upper = lower;
    }
}

void RootTree::remove(int directory, const std::string& name) {
    forget_current();
    if (unlinkat(directory, name.c_str(), 0) == 0 || errno == ENOENT) return;
    const auto removed = remove_tree(directory, name);
    if (!removed) throw EntryRefused{"replaces what cannot be removed: " + removed.error().message};
}

UniqueFd RootTree::write_file(int directory, const std::string& name, std::uint64_t size, TarStream& stream) {
    constexpr int kCreate = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    UniqueFd file{openat(directory, name.c_str(), kCreate, 0600)};
    if (!file && errno == EEXIST) {
        remove(directory, name);
        file.reset(openat(directory, name.c_str(), kCreate, 0600));
    }
    if (!file) refuse_errno("cannot be created");
    std::uint64_t end = 0;
    for (TarStream::Block block = stream.next_block(); !block.bytes.empty(); block = stream.next_block()) {
        if (block.offset < end || block.offset > size || block.bytes.size() > size - block.offset)
            throw EntryRefused{"has content beyond its size"};
        write_at(file.get(), block.bytes, block.offset);
        end = block.offset + block.bytes.size();
    }
    if (end < size && ftruncate(file.get(), static_cast<off_t>(size)) != 0) refuse_errno("cannot be written");
    return file;
}

UniqueFd RootTree::make_directory(int directory, const std::string& name) {
    constexpr int kOpen = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    UniqueFd opened{openat(directory, name.c_str(), kOpen)};
    if (opened) return opened;
    if (errno != ENOENT) remove(directory, name);
    if (mkdirat(directory, name.c_str(), 0700) != 0) refuse_errno("cannot be created");
    opened.reset(openat(directory, name.c_str(), kOpen));
    if (!opened) refuse_errno("cannot be opened");
    return opened;
}

}  // namespace brokerd
