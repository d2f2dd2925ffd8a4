#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "common/os/unique_fd.h"
#include "daemon/tls/tls_connection.h"

namespace brokerd {

/// A non-blocking byte stream over a connected socket, plain or TLS. Thread: one proxy thread's.
class Stream {
public:
    enum class Status : std::uint8_t {
        ok,     ///< `count` bytes were moved, at least one
        again,  ///< nothing now; the loop will tell when
        end,    ///< the peer has finished sending (in TLS: by close_notify)
        error,  ///< broken; `error()` says why
    };
    struct Moved {
        Status status;
        std::size_t count = 0;
    };

    Stream() noexcept = default;
    explicit Stream(UniqueFd socket) noexcept : socket_{std::move(socket)} {}

    /// Puts TLS, as a client, over the connected socket; `tls` was made for it. Call handshake() until it no longer
    /// says `again`.
    void start_tls(std::unique_ptr<TlsConnection> tls) noexcept { tls_ = std::move(tls); }
    /// ok: done (count is 0). error: refused, with the reason.
    [[nodiscard]] Moved handshake();

    [[nodiscard]] Moved read(char* data, std::size_t size);
    [[nodiscard]] Moved write(std::string_view bytes);
    /// Plain streams only: between the socket and a pipe, without a copy (splice(2)).
    [[nodiscard]] Moved splice_in(int pipe, std::size_t count);
    [[nodiscard]] Moved splice_out(int pipe, std::size_t count);

    /// Whether the peer has closed or sent something while nothing was expected of it: the connection cannot be reused.
    [[nodiscard]] bool is_stale();

    [[nodiscard]] int fd() const noexcept { return socket_.get(); }
    [[nodiscard]] bool is_open() const noexcept { return static_cast<bool>(socket_); }
    /// The connection's TLS; null where it is plain.
    [[nodiscard]] TlsConnection* tls() const noexcept { return tls_.get(); }
    [[nodiscard]] bool is_tls() const noexcept { return tls_ != nullptr; }
    /// The loop has told something of the socket; `at_end`: also that the peer has finished sending.
    void note_ready(bool at_end) noexcept {
        if (tls_) tls_->note_ready(at_end);
    }
    [[nodiscard]] const std::string& error() const noexcept { return error_; }
    /// The failure was TLS refusing the peer, or the peer refusing us: trying again will not help.
    [[nodiscard]] bool tls_refused() const noexcept { return tls_refused_; }
    /// No more will be written: lets the peer see the end while its own bytes are still read.
    void shut_down_writing() noexcept;
    /// Nothing more can come: on a Unix socket what the peer writes from now on fails at once. What it has written
    /// before can still be read, and then the end shows.
    void shut_down_reading() noexcept;
    void close() noexcept;

private:
    Moved fail_with_errno(const char* operation);
    Moved tls_result(int code, std::size_t count);

    UniqueFd socket_;
    std::unique_ptr<TlsConnection> tls_;  // after the socket, which it uses to the end
    std::string error_;
    bool tls_refused_ = false;
};

}  // namespace brokerd
