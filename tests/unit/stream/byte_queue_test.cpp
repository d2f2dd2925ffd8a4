#include "daemon/stream/byte_queue.h"

#include <catch2/catch.hpp>

using namespace brokerd;

TEST_CASE("bytes leave a queue in the order in which they came", "[proxy]") {
    BlockPool pool;
    ByteQueue queue{pool};
    CHECK(queue.append("hello ") == 6);
    CHECK(queue.append("world") == 5);
    queue.consume(6);
    CHECK(queue.bytes() == "world");
}

TEST_CASE("a queue takes no more than a block, also after it has wandered", "[proxy]") {
    BlockPool pool;
    ByteQueue queue{pool};
    const std::string half(BlockPool::kBlockBytes / 2, 'a');
    CHECK(queue.append(half) == half.size());
    queue.consume(half.size() - 1);
    const std::string full(BlockPool::kBlockBytes, 'b');
    CHECK(queue.append(full) == full.size() - 1);
    CHECK(queue.room() == 0);
    CHECK(queue.append("x") == 0);
    CHECK(queue.bytes().front() == 'a');
    CHECK(queue.bytes().substr(1) == full.substr(1));
}

TEST_CASE("views stay valid while bytes are only consumed and room is at the tail", "[proxy]") {
    BlockPool pool;
    ByteQueue queue{pool};
    queue.append("head body");
    const char* const body = queue.bytes().data() + 5;
    queue.consume(5);
    queue.append(" more");
    CHECK(queue.bytes().data() == body);
}

TEST_CASE("an empty queue holds no block", "[proxy]") {
    BlockPool pool;
    ByteQueue queue{pool};
    const auto tail = queue.tail(false);
    CHECK(tail.size == BlockPool::kBlockBytes);
    queue.release_if_empty();
    const auto again = queue.tail(false);
    CHECK(again.data == tail.data);  // the block went back to the pool and came out again
    queue.commit(1);
    queue.consume(1);
    CHECK(queue.empty());
}
