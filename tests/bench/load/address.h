#pragma once

#include <sys/socket.h>

#include <string>
#include <string_view>

#include "common/os/unique_fd.h"

namespace brokerd::bench {

/// "unix:/path", "tcp:PORT" or "tls:PORT"; the latter two are on 127.0.0.1, and port 0 lets the kernel choose.
class Address {
public:
    /// Throws std::invalid_argument.
    explicit Address(std::string_view text);
    [[nodiscard]] bool is_tls() const noexcept { return tls_; }

    /// A non-blocking listener. `port_of` tells which port it got.
    [[nodiscard]] UniqueFd listen() const;
    /// A non-blocking connection. The connecting itself waits: locally it is the kernel's work alone, unless the
    /// backlog is full, and then waiting is right. An empty result, and errno, if that fails or takes more than five
    /// seconds.
    [[nodiscard]] UniqueFd connect() const;

private:
    [[nodiscard]] UniqueFd socket() const;

    sockaddr_storage storage_{};
    socklen_t length_ = 0;
    bool tls_ = false;
};

[[nodiscard]] unsigned port_of(int listener);

/// Accepts one connection, non-blocking; empty where none waits.
[[nodiscard]] UniqueFd accept_from(int listener);

}  // namespace brokerd::bench
