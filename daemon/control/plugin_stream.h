#pragma once

#include <httplib.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "common/os/unique_fd.h"
#include "common/result.h"

namespace brokerd {

/// Waiting that a deadline and a cancellation can end. Borrows `cancelled`.
class Patience {
public:
    Patience(std::chrono::milliseconds budget, int cancelled) noexcept
        : budget_{budget}, until_{std::chrono::steady_clock::now() + budget}, cancelled_{cancelled} {}

    /// Until `fd` (-1: nothing) has one of `events`, or, where it is given, at most for `pause`. Why not, if not.
    [[nodiscard]] std::optional<Error> wait(int fd, short events,
                                            std::optional<std::chrono::milliseconds> pause = {}) const;

private:
    std::chrono::milliseconds budget_;
    std::chrono::steady_clock::time_point until_;
    int cancelled_;
};

/// A connection to the Unix socket at `path`; waits while its backlog is full.
[[nodiscard]] Result<UniqueFd> connect_to(const std::string& path, const Patience& patience);

/// The bytes below cpp-httplib's HTTP, for one exchange, with the bounds that it does not have itself: the time of the
/// whole exchange, the size of the head and of its lines, the size of the answer. Nothing here raises SIGPIPE.
/// Thread: one. Borrows the socket (non-blocking) and the patience.
class PluginStream final : public httplib::Stream {
public:
    PluginStream(int socket, const Patience& patience, std::size_t max_answer_bytes)
        : socket_{socket}, patience_{patience}, bytes_left_{max_answer_bytes} {}

    /// The bounds of a head hold until this is called.
    void head_is_over() noexcept { in_head_ = false; }
    /// Why reading or writing failed, if not because the plugin ended the connection.
    [[nodiscard]] const std::optional<Error>& problem() const noexcept { return problem_; }
    [[nodiscard]] bool ended() const noexcept { return ended_; }
    /// Whether the bytes read so far end with the last chunk of a body.
    [[nodiscard]] bool at_last_chunk() const noexcept { return tail_.ends_with("\r\n0\r\n\r\n"); }

    [[nodiscard]] bool is_readable() const override { return true; }
    [[nodiscard]] bool is_writable() const override { return true; }
    ssize_t read(char* bytes, std::size_t size) override;
    ssize_t write(const char* bytes, std::size_t size) override;
    void get_remote_ip_and_port(std::string&, int&) const override {}
    void get_local_ip_and_port(std::string&, int&) const override {}
    [[nodiscard]] socket_t socket() const override { return socket_; }

private:
    ssize_t fail_with(Error problem);
    ssize_t fill();
    void note(std::string_view taken);

    int socket_;
    const Patience& patience_;
    std::size_t bytes_left_;
    std::string buffer_;
    std::size_t taken_ = 0;  ///< of buffer_
    std::string tail_;       ///< the last bytes that were read
    std::size_t line_bytes_ = 0;
    std::size_t head_bytes_ = 0;
    bool in_head_ = true;
    bool ended_ = false;
    std::optional<Error> problem_;
};

}  // namespace brokerd
