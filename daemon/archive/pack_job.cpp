#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <unordered_map>

#include "common/os/unique_fd.h"
#include "daemon/archive/escaped_name.h"
#include "daemon/archive/kept_xattr.h"
#include "daemon/archive/layer_output.h"
#include "daemon/archive/open_beneath.h"
#include "daemon/archive/refused.h"
#include "daemon/archive/root_tree.h"
#include "daemon/archive/worker_jobs.h"
#include "daemon/archive/worker_process.h"

namespace brokerd {
namespace {

constexpr int kOpenDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

struct CloseDirectory {
    void operator()(DIR* directory) const noexcept { closedir(directory); }
};
struct FreeEntry {
    void operator()(archive_entry* entry) const noexcept { archive_entry_free(entry); }
};
using Entry = std::unique_ptr<archive_entry, FreeEntry>;

std::vector<std::string> sorted_names(const UniqueFd& directory) {
    UniqueFd own{openat(directory.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    const std::unique_ptr<DIR, CloseDirectory> listing{own ? fdopendir(own.get()) : nullptr};
    if (!listing) refuse_errno("cannot be listed");
    static_cast<void>(own.release());
    std::vector<std::string> names;
    while (const dirent* entry = readdir(listing.get())) {
        std::string name = entry->d_name;
        if (name != "." && name != "..") names.push_back(std::move(name));
    }
    std::sort(names.begin(), names.end());
    return names;
}

class Packer {
public:
    explicit Packer(WorkerContext& context) : context_{context}, layer_{kOutputFd, context.limits} {}

    void run() {
        const UniqueFd root = open_in_root(kDirectoryFd, ".", O_RDONLY | O_DIRECTORY);
        if (!root) throw Refused{"cannot be opened"};
        pack_content(root, "", 0);
        context_.report.digest(layer_.finish());
        context_.report.done(layer_.entries(), layer_.tar_bytes(), skipped_);
    }

private:
    void pack_content(const UniqueFd& directory, const std::string& path, std::uint32_t depth) {
        if (depth > context_.limits.depth)
            throw EntryRefused{fmt::format("lies more than {} directories deep", context_.limits.depth)};
        for (const std::string& name : sorted_names(directory)) {
            const std::string inner = path.empty() ? name : path + '/' + name;
            context_.entry = escaped_name(inner);
            if (inner.size() > context_.limits.path_bytes)
                throw EntryRefused{fmt::format("has a path of more than {} bytes", context_.limits.path_bytes)};
            pack(directory, name, inner, depth);
        }
    }

    void pack(const UniqueFd& directory, const std::string& name, const std::string& path, std::uint32_t depth) {
        struct stat status {};
        if (fstatat(directory.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) refuse_errno("cannot be read");
        if (S_ISSOCK(status.st_mode)) {
            ++skipped_;
            return;
        }
        const Entry entry{archive_entry_new()};
        archive_entry_copy_stat(entry.get(), &status);
        archive_entry_copy_pathname(entry.get(), path.c_str());
        if (!S_ISREG(status.st_mode)) archive_entry_set_size(entry.get(), 0);
        if (S_ISDIR(status.st_mode)) return pack_directory(directory, name, path, entry, depth);
        if (status.st_nlink > 1 && pack_link(status, path, entry)) return;
        if (S_ISREG(status.st_mode)) return pack_file(directory, name, entry);
        if (S_ISLNK(status.st_mode)) read_target(directory, name, entry);
        layer_.add(entry.get());
    }

    void pack_directory(const UniqueFd& directory, const std::string& name, const std::string& path, const Entry& entry,
                        std::uint32_t depth) {
        const UniqueFd inner = open_entry(directory.get(), name.c_str(), kOpenDirectory);
        if (!inner && errno != EXDEV) refuse_errno("cannot be opened");
        if (inner) read_xattrs(inner, entry);
        archive_entry_copy_pathname(entry.get(), (path + '/').c_str());
        layer_.add(entry.get());
        if (inner) pack_content(inner, path, depth + 1);
    }

    /// Whether the file has been packed already by another name, which this one then links to.
    bool pack_link(const struct stat& status, const std::string& path, const Entry& entry) {
        const auto [first, is_new] = linked_.try_emplace(status.st_ino, path);
        if (is_new) return false;
        archive_entry_copy_hardlink(entry.get(), first->second.c_str());
        archive_entry_set_size(entry.get(), 0);
        layer_.add(entry.get());
        return true;
    }

    void pack_file(const UniqueFd& directory, const std::string& name, const Entry& entry) {
        const UniqueFd file = open_entry(directory.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
        struct stat status {};
        if (!file && errno == EXDEV) {  // a file that something is mounted on
            ++skipped_;
            return;
        }
        if (!file || fstat(file.get(), &status) != 0) refuse_errno("cannot be opened");
        if (!S_ISREG(status.st_mode) || status.st_size != archive_entry_size(entry.get()))
            throw EntryRefused{"changes while it is read"};
        read_xattrs(file, entry);
        layer_.add(entry.get());
        auto left = static_cast<std::uint64_t>(status.st_size);
        for (ssize_t got = 1; got > 0; left -= static_cast<std::uint64_t>(got)) {
            got = read(file.get(), buffer_.data(), buffer_.size());
            if (got < 0) refuse_errno("cannot be read");
            if (static_cast<std::uint64_t>(got) > left || (got == 0 && left > 0))
                throw EntryRefused{"changes while it is read"};
            layer_.write({buffer_.data(), static_cast<std::size_t>(got)});
            bytes_ += static_cast<std::uint64_t>(got);
        }
        context_.report.progress(0, bytes_);
    }

    static void read_target(const UniqueFd& directory, const std::string& name, const Entry& entry) {
        std::array<char, 4097> target{};
        const ssize_t size = readlinkat(directory.get(), name.c_str(), target.data(), target.size() - 1);
        if (size < 0) refuse_errno("cannot be read");
        archive_entry_copy_symlink(entry.get(), target.data());
    }

    void read_xattrs(const UniqueFd& file, const Entry& entry) {
        std::vector<char> names(std::size_t{64} << 10);  // XATTR_LIST_MAX (linux/limits.h)
        const ssize_t size = flistxattr(file.get(), names.data(), names.size());
        if (size < 0 && errno == ENOTSUP) return;
        if (size < 0) refuse_errno("has extended attributes that cannot be read");
        std::vector<char> value;
        for (const char* name = names.data(); name < names.data() + size; name += std::string_view{name}.size() + 1) {
            if (!is_kept_xattr(name)) {
                ++skipped_;
                continue;
            }
            value.resize(std::size_t{64} << 10);  // XATTR_SIZE_MAX
            const ssize_t got = fgetxattr(file.get(), name, value.data(), value.size());
            if (got < 0) refuse_errno("has an extended attribute that cannot be read");
            archive_entry_xattr_add_entry(entry.get(), name, value.data(), static_cast<std::size_t>(got));
        }
    }

    WorkerContext& context_;
    LayerOutput layer_;
    std::unordered_map<ino_t, std::string> linked_;
    std::vector<char> buffer_ = std::vector<char>(std::size_t{128} << 10);
    std::uint64_t bytes_ = 0;
    std::uint64_t skipped_ = 0;
};

}  // namespace

void run_pack(WorkerContext& context) {
    Packer{context}.run();
}

}  // namespace brokerd
