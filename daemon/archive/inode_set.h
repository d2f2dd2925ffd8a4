#pragma once

#include <sys/types.h>

#include <cstddef>
#include <vector>

namespace brokerd {

/// A set of inode numbers at 8 to 16 bytes each, where a standard set takes 40: a layer may have a million entries.
class InodeSet {
public:
    /// False where it was in already.
    bool insert(ino_t inode) {
        if (inode == 0) return false;  // no file system's; it marks free slots
        if (2 * (size_ + 1) > slots_.size()) grow();
        ino_t& slot = slots_[find(inode)];
        if (slot == inode) return false;
        slot = inode;
        ++size_;
        return true;
    }
    [[nodiscard]] bool contains(ino_t inode) const {
        return inode != 0 && !slots_.empty() && slots_[find(inode)] == inode;
    }
    void clear() noexcept {
        slots_ = {};
        size_ = 0;
    }

private:
    /// Linear probing. The numbers are the file system's, not the archive's, so nobody chooses them to collide.
    [[nodiscard]] std::size_t find(ino_t inode) const {
        std::size_t at = (inode * 0x9e3779b97f4a7c15U >> 20U) & (slots_.size() - 1);
        while (slots_[at] != 0 && slots_[at] != inode) at = (at + 1) & (slots_.size() - 1);
        return at;
    }
    void grow() {
        std::vector<ino_t> old(slots_.empty() ? 256 : 2 * slots_.size());
        old.swap(slots_);
        for (const ino_t inode : old) {
            if (inode != 0) slots_[find(inode)] = inode;
        }
    }

    std::vector<ino_t> slots_;
    std::size_t size_ = 0;
};

}  // namespace brokerd
