#pragma once

#include <openssl/bio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace brokerd {

/// Lies between OpenSSL and a non-blocking socket, and spares system calls that OpenSSL's own socket BIO would make:
/// several records leave with one send, and after a read that has emptied the socket no other one is made to hear so.
/// Thread: one proxy thread's. Borrows the socket.
class TlsTransport {
public:
    /// Plaintext of one record (RFC 8446 5.1), and what encryption adds at most.
    static constexpr std::size_t kRecordBytes = std::size_t{16} << 10;
    static constexpr std::size_t kRecordOverhead = 512;

    /// `kernel_tls`: the kernel may take records over on this socket.
    TlsTransport(int fd, bool kernel_tls);
    TlsTransport(const TlsTransport&) = delete;
    TlsTransport& operator=(const TlsTransport&) = delete;

    /// For SSL_set_bio(), which takes ownership; call once. Valid while this object is.
    [[nodiscard]] BIO* take_bio() noexcept { return bio_.release(); }

    /// The loop has told something: the next read asks the socket. `at_end`: the peer has sent its last, so that from
    /// now on only a read can tell where the end is.
    void note_ready(bool at_end) noexcept;
    /// The handshake is over; short reads are understood from here on.
    void start_sparing_reads(bool possible) noexcept { spares_reads_ = possible; }

    /// From here on records are collected; send() sends them.
    void start_gathering();
    [[nodiscard]] bool has_room() const noexcept;
    /// The record of `plaintext` bytes is complete.
    void end_record(std::size_t plaintext) noexcept;

    [[nodiscard]] bool has_unsent() const noexcept { return begin_ != end_; }
    /// Sends what was collected. Returns the plaintext bytes of the records that have now left whole. `code`: 0, EAGAIN
    /// where the socket takes no more, or another errno.
    struct Sent {
        std::size_t plaintext;
        int code;
    };
    [[nodiscard]] Sent send();

private:
    struct Bio;
    friend struct Bio;
    /// Ours: what leaves with one send, 64 KiB; TCP hands on no more at once.
    static constexpr std::size_t kMaxRecords = 4;
    static constexpr std::size_t kGatherBytes = kMaxRecords * (kRecordBytes + kRecordOverhead);
    struct BioFree {
        void operator()(BIO* bio) const noexcept { BIO_free_all(bio); }
    };
    struct Record {
        std::size_t end = 0;  ///< its last byte's place in `collected_`
        std::size_t plaintext = 0;
    };

    int read(BIO* bio, char* data, int size) noexcept;
    int write(BIO* bio, const char* data, int size) noexcept;
    long control(BIO* bio, int command, long number, void* pointer) noexcept;

    const int fd_;
    std::unique_ptr<BIO, BioFree> bio_;
    bool gathers_ = false;
    bool drained_ = false;
    bool at_end_ = false;
    bool ended_ = false;
    bool spares_reads_ = false;
    std::uint8_t record_count_ = 0;
    std::array<Record, kMaxRecords> records_{};
    std::unique_ptr<char[]> collected_;  ///< held only while there is something in it
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

}  // namespace brokerd
