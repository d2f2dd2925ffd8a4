#pragma once

#include <cstdint>

#include "daemon/stream/byte_queue.h"
#include "daemon/stream/event_loop.h"
#include "daemon/stream/stream.h"

namespace brokerd {

/// Ours: rounds of work for one connection before others get their turn; of reading, about 1 MiB.
inline constexpr int kRoundsPerTurn = 16;

/// One end of a proxied connection: a stream, what has been read from it and what is still to be written to it, and
/// what the (edge-triggered) loop has told of it. Thread: one proxy thread's.
class Channel {
public:
    Channel(EventLoop& loop, BlockPool& pool) noexcept : in{pool}, out{pool}, loop_{loop} {}
    ~Channel() { close(); }
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;

    /// Starts on a new socket, which the loop watches for `handler` from now on; for room to write, too, where
    /// `is_connecting` (that is how a connection's end shows) or once a write has found none.
    void open(UniqueFd socket, EventHandler& handler, bool is_connecting);
    /// Ends the connection at once and drops all bytes. Idempotent.
    void close() noexcept;

    /// A socket that is known to be connected is worth a try before the loop tells anything.
    void assume_ready() noexcept { readable_ = writable_ = true; }
    /// Takes note of what the loop told.
    void note(std::uint32_t events) noexcept;
    /// Whether the loop tells what comes in. While nothing can be done with it, each piece would be a wake-up for
    /// nothing.
    void watch_reading(bool on) noexcept { watch(on, watches_room_); }
    /// Whether a write may be worth a try.
    [[nodiscard]] bool can_write() const noexcept { return writable_ && !write_broken; }
    /// Reads until `in` is full or nothing is left; true where anything was read or the end was reached. May move the
    /// bytes of `in`.
    /// `look_again`: a message is incomplete. The last read came back short, which tells that the socket is empty
    /// unless descriptors (SCM_RIGHTS) or urgent data ended it; one more read tells for sure.
    bool fill(bool look_again);
    /// Writes until `out` is empty or the peer takes no more. False: write_broken, and `out` keeps what has not left.
    bool flush();

    /// The same past the queues, through a pipe (splice(2)), for plain streams: bytes moved, 0 where that is impossible
    /// for now. `pipe_is_empty`: then it is the socket that had nothing.
    std::size_t splice_in(int pipe, std::size_t count, bool pipe_is_empty);
    std::size_t splice_out(int pipe, std::size_t count);

    Stream stream;
    ByteQueue in;
    ByteQueue out;
    std::uint64_t written = 0;  ///< bytes that have left, ever
    bool ended = false;         ///< the peer has finished sending
    bool broken = false;        ///< reading failed; stream.error() says why
    bool write_broken = false;  ///< writing failed; what the peer has sent before can still be read

private:
    void watch(bool reading, bool room) noexcept;

    EventLoop& loop_;
    EventHandler* handler_ = nullptr;
    bool readable_ = false;
    bool short_read_ = false;  ///< … is why it is not readable_
    bool writable_ = false;
    bool hung_up_ = false;
    bool watches_reading_ = true;
    bool watches_room_ = false;
};

}  // namespace brokerd
