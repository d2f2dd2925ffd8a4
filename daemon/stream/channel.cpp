#include "daemon/stream/channel.h"

#include <utility>

namespace brokerd {
namespace {

constexpr std::uint32_t events_for(bool reading, bool room) {
    return EPOLLRDHUP | EPOLLET | (reading ? EPOLLIN : 0U) | (room ? EPOLLOUT : 0U);
}

}  // namespace

void Channel::open(UniqueFd socket, EventHandler& handler, bool is_connecting) {
    close();
    handler_ = &handler;
    stream = Stream{std::move(socket)};
    ended = broken = write_broken = short_read_ = readable_ = writable_ = hung_up_ = false;
    watches_reading_ = true;
    watches_room_ = is_connecting;
    loop_.add(stream.fd(), events_for(true, is_connecting), handler);
}

void Channel::close() noexcept {
    if (!stream.is_open()) return;
    loop_.remove(stream.fd());
    stream.close();
    in.clear();
    out.clear();
}

void Channel::note(std::uint32_t events) noexcept {
    // TLS may have to write in order to read and the other way round: any readiness is worth a try.
    const bool both = stream.is_tls();
    if (both || (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) readable_ = true;
    // Behind a short read the end may wait, and its edge has been spent on this very event.
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) hung_up_ = true;
    if (both || (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) writable_ = true;
    if ((events & EPOLLOUT) != 0 && !both) watch(watches_reading_, false);
    stream.note_ready(hung_up_);
}

bool Channel::fill(bool look_again) {
    bool moved = false;
    if (std::exchange(short_read_, false) && look_again) readable_ = true;
    while (readable_ && !ended && !broken && in.room() > 0) {
        const ByteQueue::Tail tail = in.tail();
        const Stream::Moved got = stream.read(tail.data, tail.size);
        switch (got.status) {
            case Stream::Status::ok:
                in.commit(got.count);
                moved = true;
                // A short read has emptied a plain socket; what comes later is a new edge. TLS may hold more.
                if (got.count < tail.size && !stream.is_tls() && !hung_up_) {
                    readable_ = false;
                    short_read_ = true;
                }
                break;
            case Stream::Status::again:
                readable_ = false;
                break;
            case Stream::Status::end:
                ended = moved = true;
                break;
            case Stream::Status::error:
                broken = moved = true;
                break;
        }
    }
    in.release_if_empty();
    return moved;
}

bool Channel::flush() {
    while (!out.empty() && writable_ && !write_broken) {
        const Stream::Moved put = stream.write(out.bytes());
        switch (put.status) {
            case Stream::Status::ok:
                out.consume(put.count);
                written += put.count;
                break;
            case Stream::Status::again:
                writable_ = false;
                watch(watches_reading_, true);
                break;
            case Stream::Status::end:
            case Stream::Status::error:
                write_broken = true;
                break;
        }
    }
    return !write_broken;
}

std::size_t Channel::splice_in(int pipe, std::size_t count, bool pipe_is_empty) {
    if ((!readable_ && !short_read_) || ended || broken) return 0;
    short_read_ = false;
    const Stream::Moved got = stream.splice_in(pipe, count);
    switch (got.status) {
        case Stream::Status::ok:
            // One that began behind a short read, too: descriptors (SCM_RIGHTS) may have ended both, and no new edge
            // tells of what has been there all the time.
            readable_ = true;
            return got.count;
        case Stream::Status::again:
            if (pipe_is_empty) readable_ = false;
            return 0;
        case Stream::Status::end:
            ended = true;
            return 0;
        case Stream::Status::error:
            broken = true;
            return 0;
    }
    return 0;
}

std::size_t Channel::splice_out(int pipe, std::size_t count) {
    if (!writable_ || write_broken) return 0;
    const Stream::Moved put = stream.splice_out(pipe, count);
    switch (put.status) {
        case Stream::Status::ok:
            written += put.count;
            return put.count;
        case Stream::Status::again:
            writable_ = false;
            watch(watches_reading_, true);
            return 0;
        case Stream::Status::end:
        case Stream::Status::error:
            write_broken = true;
            return 0;
    }
    return 0;
}

/// Room is watched for only from when a write has found none until there is some: a Unix socket that is watched for it
/// tells of each read of its peer, which would be a wake-up per message (daemon/README.md, Decisions).
void Channel::watch(bool reading, bool room) noexcept {
    if (reading == watches_reading_ && room == watches_room_) return;
    watches_reading_ = reading;
    watches_room_ = room;
    loop_.modify(stream.fd(), events_for(reading, room), *handler_);
}

}  // namespace brokerd
