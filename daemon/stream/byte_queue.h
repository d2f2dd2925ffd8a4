#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

namespace brokerd {

/// Recycles the fixed-size blocks that ByteQueues borrow while they hold bytes, so that an idle connection owns none
/// and a busy one allocates none. Thread: one proxy thread's. Outlives its queues.
class BlockPool {
public:
    /// Large enough for a head of kMaxHeadBytes with what a rewrite adds, and for body copies in few system calls and
    /// wake-ups of their reader (measured: daemon/README.md, Decisions).
    static constexpr std::size_t kBlockBytes = std::size_t{128} << 10;
    using Block = std::unique_ptr<char[]>;

    [[nodiscard]] Block take();
    void give_back(Block block);

private:
    /// More free blocks than this are returned to the allocator: 8 MiB per thread, where bodies have filled them.
    static constexpr std::size_t kMaxFree = 64;

    std::vector<Block> free_;
};

/// A bounded first-in-first-out of bytes, contiguous, in one block of the pool that is held only while it is not empty.
/// Bytes do not move until reserve() has to make room. Thread: its pool's.
class ByteQueue {
public:
    explicit ByteQueue(BlockPool& pool) noexcept : pool_{pool} {}
    ~ByteQueue() { clear(); }
    ByteQueue(const ByteQueue&) = delete;
    ByteQueue& operator=(const ByteQueue&) = delete;

    [[nodiscard]] std::string_view bytes() const noexcept { return {block_.get() + begin_, end_ - begin_}; }
    [[nodiscard]] std::size_t size() const noexcept { return end_ - begin_; }
    [[nodiscard]] bool empty() const noexcept { return begin_ == end_; }
    /// How many bytes can still be appended.
    [[nodiscard]] std::size_t room() const noexcept { return BlockPool::kBlockBytes - size(); }

    /// Drops the first `count` bytes; views of the others stay valid.
    void consume(std::size_t count) noexcept;
    /// Copies as much of `bytes` as there is room for; returns how much that was. Invalidates views.
    std::size_t append(std::string_view bytes);
    void clear() noexcept;

    /// Free space behind the last byte, for writing straight into the queue; commit() what was written. The bytes move
    /// to the front (views become invalid) where that is needed for a tail of `at_least`, which is granted if room().
    struct Tail {
        char* data;
        std::size_t size;
    };
    [[nodiscard]] Tail tail(std::size_t at_least = 1);
    void commit(std::size_t count) noexcept { end_ += count; }
    /// Takes all bytes of `other`, which is of the same pool, without copying them. Precondition: this queue is empty.
    void take_over(ByteQueue& other) noexcept;
    /// Gives the block back where nothing was committed after all.
    void release_if_empty() noexcept;

private:
    void compact() noexcept;

    BlockPool& pool_;
    BlockPool::Block block_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

}  // namespace brokerd
