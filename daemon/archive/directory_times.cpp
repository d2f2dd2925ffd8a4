#include "daemon/archive/directory_times.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "daemon/archive/open_beneath.h"
#include "daemon/archive/root_tree.h"

namespace brokerd {
namespace {

constexpr std::size_t kSpillBytes = std::size_t{1} << 20;

struct Record {
    ino_t inode;
    timespec time;
    std::size_t path_bytes;
};

}  // namespace

void DirectoryTimes::set(const std::string& path, ino_t inode, const timespec& time) {
    known_.insert(inode);
    append(path, inode, time);
}

void DirectoryTimes::keep(const std::string& path, const struct stat& status) {
    if (known_.insert(status.st_ino)) append(path, status.st_ino, status.st_mtim);
}

void DirectoryTimes::append(const std::string& path, ino_t inode, const timespec& time) {
    const Record record{inode, time, path.size()};
    recent_.append(reinterpret_cast<const char*>(&record), sizeof record);
    recent_ += path;
    if (recent_.size() >= kSpillBytes) spill();
}

void DirectoryTimes::spill() {
    if (!spilled_) spilled_.reset(openat(root_, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (!spilled_) return;  // a file system without unnamed files: memory it is, up to the worker's limit
    for (std::string_view rest = recent_; !rest.empty();) {
        const ssize_t done = write(spilled_.get(), rest.data(), rest.size());
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) refuse_errno("cannot be noted");
        rest.remove_prefix(static_cast<std::size_t>(done));
    }
    recent_.clear();
}

void DirectoryTimes::apply() {
    if (spilled_) {
        std::string records;
        std::vector<char> piece(kSpillBytes);
        for (off_t at = 0;;) {
            const ssize_t got = pread(spilled_.get(), piece.data(), piece.size(), at);
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) refuse_errno("cannot be read back");
            if (got == 0) break;
            at += got;
            records.append(piece.data(), static_cast<std::size_t>(got));
            apply_records(records);
        }
        spilled_.reset();
    }
    apply_records(recent_);
    recent_.clear();
    known_.clear();
}

/// Takes whole records from the front; part of one stays.
void DirectoryTimes::apply_records(std::string& records) const {
    std::size_t at = 0;
    while (records.size() - at >= sizeof(Record)) {
        Record record;
        std::memcpy(&record, records.data() + at, sizeof record);
        if (records.size() - at - sizeof record < record.path_bytes) break;
        const std::string path = records.substr(at + sizeof record, record.path_bytes);
        at += sizeof record + record.path_bytes;
        const UniqueFd directory = open_in_root(root_, path.empty() ? "." : path.c_str(), O_RDONLY | O_DIRECTORY);
        struct stat status {};
        if (!directory || fstat(directory.get(), &status) != 0 || status.st_ino != record.inode) continue;
        const timespec times[2] = {record.time, record.time};
        if (futimens(directory.get(), times) != 0) refuse_errno("cannot be given its time");
    }
    records.erase(0, at);
}

}  // namespace brokerd
