#include "daemon/proxy/channel.h"

namespace brokerd {

void Channel::note(std::uint32_t events) noexcept {
    // TLS may have to write in order to read and the other way round: any readiness is worth a try.
    const bool both = stream.is_tls();
    if (both || (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) readable_ = true;
    // Behind a short read the end may wait, and its edge has been spent on this very event.
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) hung_up_ = true;
    if (both || (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) writable_ = true;
}

bool Channel::fill(bool compact) {
    bool moved = false;
    while (readable_ && !ended && !broken) {
        const ByteQueue::Tail tail = in.tail(compact);
        if (tail.size == 0) break;
        const Stream::Moved got = stream.read(tail.data, tail.size);
        switch (got.status) {
            case Stream::Status::ok:
                in.commit(got.count);
                moved = true;
                // A short read has emptied a plain socket; what comes later is a new edge. TLS may hold more.
                if (got.count < tail.size && !stream.is_tls() && !hung_up_) readable_ = false;
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
                break;
            case Stream::Status::end:
            case Stream::Status::error:
                write_broken = true;
                break;
        }
    }
    return !write_broken;
}

}  // namespace brokerd
