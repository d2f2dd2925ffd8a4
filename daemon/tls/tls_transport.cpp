#include "daemon/tls/tls_transport.h"

#include <openssl/err.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>

// A BIO of our own. Where the kernel may take records over (kTLS), OpenSSL's socket BIO lies below, for only that one
// can hand the keys over, and all passes through. Elsewhere it is left out: it would ask the kernel for kTLS on each
// socket again, and a kernel that looks for the module then starts a process for each connection.
//
// Two rules keep what a caller knows true. Bytes count as written only when the whole record that holds them has left,
// exactly as with OpenSSL's own partial writes: a call of which no record has left can still go to another connection.
// And nothing is said to be absent that the socket may have: a short read spares the next one only until the loop tells
// of news, and not at all once the peer's end is near, whose edge the loop tells only once.

namespace brokerd {
namespace {

bool is_passing(int code) {
    return code == EAGAIN || code == EWOULDBLOCK || code == EINTR;
}

}  // namespace

struct TlsTransport::Bio {
    static int read(BIO* bio, char* data, int size) noexcept { return self(bio).read(bio, data, size); }
    static int write(BIO* bio, const char* data, int size) noexcept { return self(bio).write(bio, data, size); }
    static long ctrl(BIO* bio, int command, long number, void* pointer) noexcept {
        return self(bio).control(bio, command, number, pointer);
    }
    static TlsTransport& self(BIO* bio) noexcept { return *static_cast<TlsTransport*>(BIO_get_data(bio)); }

    struct MethodFree {
        void operator()(BIO_METHOD* method) const noexcept { BIO_meth_free(method); }
    };
    /// Immutable once made, as OpenSSL's own methods are.
    static const BIO_METHOD* method() {
        static const std::unique_ptr<BIO_METHOD, MethodFree> made = [] {
            std::unique_ptr<BIO_METHOD, MethodFree> fresh{
                BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "brokerd's transport")};
            if (!fresh || BIO_meth_set_read(fresh.get(), read) != 1 || BIO_meth_set_write(fresh.get(), write) != 1 ||
                BIO_meth_set_ctrl(fresh.get(), ctrl) != 1)
                throw std::bad_alloc{};
            return fresh;
        }();
        return made.get();
    }
};

TlsTransport::TlsTransport(int fd, bool kernel_tls) : fd_{fd}, bio_{BIO_new(Bio::method())} {
    if (!bio_) throw std::bad_alloc{};
    BIO_set_data(bio_.get(), this);
    BIO_set_init(bio_.get(), 1);
    if (!kernel_tls) return;
    BIO* const socket = BIO_new(BIO_s_socket());
    if (socket == nullptr) throw std::bad_alloc{};
    BIO_set_fd(socket, fd, BIO_NOCLOSE);
    BIO_push(bio_.get(), socket);
}

void TlsTransport::note_ready(bool at_end) noexcept {
    drained_ = false;
    at_end_ = at_end_ || at_end;
}

int TlsTransport::read(BIO* bio, char* data, int size) noexcept {
    BIO_clear_retry_flags(bio);
    if (drained_) {
        drained_ = false;
        BIO_set_retry_read(bio);
        return -1;
    }
    int count = 0;
    if (BIO* const socket = BIO_next(bio)) {
        count = BIO_read(socket, data, size);
        BIO_copy_next_retry(bio);
    } else {
        count = static_cast<int>(::recv(fd_, data, static_cast<std::size_t>(size), 0));
        if (count < 0 && is_passing(errno)) BIO_set_retry_read(bio);
        ended_ = count == 0;
    }
    drained_ = spares_reads_ && !at_end_ && count > 0 && count < size;
    return count;
}

int TlsTransport::write(BIO* bio, const char* data, int size) noexcept {
    BIO_clear_retry_flags(bio);
    const std::size_t count = static_cast<std::size_t>(size);
    if (gathers_ && kGatherBytes - end_ >= count) {
        std::memcpy(collected_.get() + end_, data, count);
        end_ += count;
        return size;
    }
    if (has_unsent()) {  // records must leave in order
        BIO_set_retry_write(bio);
        return -1;
    }
    if (BIO* const socket = BIO_next(bio)) {
        const int written = BIO_write(socket, data, size);
        BIO_copy_next_retry(bio);
        return written;
    }
    const auto written = static_cast<int>(::send(fd_, data, count, MSG_NOSIGNAL));
    if (written < 0 && is_passing(errno)) BIO_set_retry_write(bio);
    return written;
}

long TlsTransport::control(BIO* bio, int command, long number, void* pointer) noexcept {
    if (BIO* const socket = BIO_next(bio)) return BIO_ctrl(socket, command, number, pointer);
    switch (command) {
        case BIO_CTRL_FLUSH:  // nothing is held back
            return 1;
        case BIO_CTRL_EOF:
            return ended_ ? 1 : 0;
        default:
            return 0;
    }
}

void TlsTransport::start_gathering() {
    if (!collected_) collected_.reset(new char[kGatherBytes]);
    gathers_ = true;
}

bool TlsTransport::has_room() const noexcept {
    return record_count_ < kMaxRecords && kGatherBytes - end_ >= kRecordBytes + kRecordOverhead;
}

void TlsTransport::end_record(std::size_t plaintext) noexcept {
    records_[record_count_++] = {end_, plaintext};
}

TlsTransport::Sent TlsTransport::send() {
    gathers_ = false;
    int code = 0;
    while (begin_ != end_) {
        const ssize_t count = ::send(fd_, collected_.get() + begin_, end_ - begin_, MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) {
            code = errno == EWOULDBLOCK ? EAGAIN : errno;
            break;
        }
        begin_ += static_cast<std::size_t>(count);
    }
    std::size_t plaintext = 0;
    std::uint8_t whole = 0;
    for (; whole < record_count_ && records_[whole].end <= begin_; ++whole) plaintext += records_[whole].plaintext;
    std::move(records_.begin() + whole, records_.begin() + record_count_, records_.begin());
    record_count_ = static_cast<std::uint8_t>(record_count_ - whole);
    if (begin_ == end_) {
        begin_ = end_ = 0;
        collected_.reset();
    }
    return {plaintext, code};
}

}  // namespace brokerd
