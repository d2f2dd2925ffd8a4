#pragma once

#include <sys/socket.h>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "common/json.h"
#include "common/os/unique_fd.h"

/// What a test of a server on a Unix socket needs: a client that speaks raw bytes, and patience.
namespace brokerd::test {

/// Upper bound for anything that a test waits for; never reached where all is well.
inline constexpr std::chrono::seconds kPatience{20};

struct Reply {
    unsigned status = 0;
    std::string head;
    std::string body;

    [[nodiscard]] rapidjson::Document json() const;
    [[nodiscard]] std::string message() const { return string_member(json(), "message"); }
};

/// A Unix connection that reads and writes raw bytes. Throws std::runtime_error when its patience ends.
class Client {
public:
    explicit Client(const std::string& path);
    /// Connects this socket, where another one cannot be had.
    Client(const std::string& path, UniqueFd socket);

    void send(std::string_view bytes);
    /// What the socket takes without waiting; says how much that was.
    [[nodiscard]] std::size_t send_some(std::string_view bytes);
    void end_output() { ::shutdown(socket_.get(), SHUT_WR); }
    /// The next answer, by its Content-Length.
    [[nodiscard]] Reply receive(bool to_head = false);
    /// The head of a stream; its lines come after it.
    [[nodiscard]] std::string receive_head();
    /// The next chunk of a body; empty for the last one.
    [[nodiscard]] std::string receive_chunk();
    /// The next line of a chunked (or close-delimited) stream, without its end.
    [[nodiscard]] std::string receive_line(bool chunked = true);
    /// Whether the server has closed, after the bytes received so far.
    [[nodiscard]] bool receive_end();
    [[nodiscard]] Reply get(const std::string& target) { return request("GET", target); }
    [[nodiscard]] Reply post(const std::string& target, const std::string& body = {}) {
        return request("POST", target, body);
    }
    [[nodiscard]] Reply request(const std::string& method, const std::string& target, const std::string& body = {});

    [[nodiscard]] int descriptor() const noexcept { return socket_.get(); }

private:
    [[nodiscard]] bool fill();
    [[nodiscard]] std::string take_until(std::string_view end);

    UniqueFd socket_;
    std::string buffer_;
    std::string line_;
};

/// A listening Unix socket in a directory of its own.
class SocketDirectory {
public:
    SocketDirectory();
    ~SocketDirectory();
    [[nodiscard]] std::string path(std::string_view name) const { return directory_ / name; }

private:
    std::filesystem::path directory_;
};

/// The number in a line of /proc/self/status, or of entries in /proc/self/fd.
[[nodiscard]] std::size_t thread_count();
[[nodiscard]] std::size_t descriptor_count();
/// Whether `condition` becomes true while the test is patient.
[[nodiscard]] bool eventually(const std::function<bool()>& condition);

}  // namespace brokerd::test
