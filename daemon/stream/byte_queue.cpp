#include "daemon/stream/byte_queue.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace brokerd {

BlockPool::Block BlockPool::take() {
    if (free_.empty()) return Block{new char[kBlockBytes]};
    Block block = std::move(free_.back());
    free_.pop_back();
    return block;
}

void BlockPool::give_back(Block block) {
    if (free_.size() < kMaxFree) free_.push_back(std::move(block));
}

void ByteQueue::consume(std::size_t count) noexcept {
    begin_ += count;
    release_if_empty();
}

void ByteQueue::release_if_empty() noexcept {
    if (begin_ != end_) return;
    begin_ = end_ = 0;
    if (block_) pool_.give_back(std::move(block_));
}

std::size_t ByteQueue::append(std::string_view bytes) {
    const std::size_t count = std::min(bytes.size(), room());
    if (count == 0) return 0;
    std::memcpy(tail(count).data, bytes.data(), count);
    end_ += count;
    return count;
}

void ByteQueue::clear() noexcept {
    begin_ = end_ = 0;
    release_if_empty();
}

ByteQueue::Tail ByteQueue::tail(std::size_t at_least) {
    if (!block_) block_ = pool_.take();
    if (BlockPool::kBlockBytes - end_ < at_least && begin_ > 0) compact();
    return {block_.get() + end_, BlockPool::kBlockBytes - end_};
}

void ByteQueue::take_over(ByteQueue& other) noexcept {
    block_.swap(other.block_);
    begin_ = std::exchange(other.begin_, 0);
    end_ = std::exchange(other.end_, 0);
    other.release_if_empty();
}

void ByteQueue::compact() noexcept {
    std::memmove(block_.get(), block_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
}

}  // namespace brokerd
