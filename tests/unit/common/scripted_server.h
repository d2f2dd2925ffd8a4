#pragma once

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "common/os/unique_fd.h"

namespace brokerd {

/// A Unix socket with a name in a directory of its own.
class SocketPath {
public:
    SocketPath() {
        char directory[] = "/tmp/b.XXXXXX";
        if (::mkdtemp(directory) == nullptr) throw std::runtime_error{"mkdtemp"};
        directory_ = directory;
    }
    SocketPath(const SocketPath&) = delete;
    SocketPath& operator=(const SocketPath&) = delete;
    ~SocketPath() {
        ::unlink(str().c_str());
        ::rmdir(directory_.c_str());
    }

    [[nodiscard]] std::string str() const { return directory_ + "/s"; }

    /// A socket bound to the path; nobody listens on it yet.
    [[nodiscard]] UniqueFd bind() const {
        UniqueFd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        const sockaddr_un address = this->address();
        if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
            throw std::runtime_error{"bind"};
        }
        return socket;
    }
    [[nodiscard]] sockaddr_un address() const {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, str().data(), str().size());
        return address;
    }

private:
    std::string directory_;
};

/// Answers each connection with the bytes that its script gives for the request, however wrong they are, and then
/// closes the connection or holds it open for as long as the server lives.
class ScriptedServer {
public:
    struct Answer {
        std::string bytes;
        bool hold = false;
        bool reads_body = true;  ///< false: answers as soon as it has the header
    };
    using Script = std::function<Answer(const std::string& header)>;

    explicit ScriptedServer(Script script) : script_{std::move(script)}, listener_{path_.bind()} {
        if (::listen(listener_.get(), 64) != 0) throw std::runtime_error{"listen"};
        thread_ = std::thread{[this] { serve(); }};
    }
    /// The same answer to every request.
    explicit ScriptedServer(Answer answer) : ScriptedServer{Script{[answer](const std::string&) { return answer; }}} {}
    explicit ScriptedServer(std::string bytes) : ScriptedServer{Answer{std::move(bytes)}} {}
    ~ScriptedServer() {
        ::shutdown(listener_.get(), SHUT_RDWR);
        thread_.join();
    }
    ScriptedServer(const ScriptedServer&) = delete;
    ScriptedServer& operator=(const ScriptedServer&) = delete;

    [[nodiscard]] std::string path() const { return path_.str(); }
    /// Header and body of each request so far.
    [[nodiscard]] std::vector<std::string> requests() const {
        const std::lock_guard lock{mutex_};
        return requests_;
    }

    /// A complete answer.
    static std::string reply(int status, const std::string& body) {
        return "HTTP/1.1 " + std::to_string(status) +
               " X\r\nServer: brokerd/9\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    }
    static std::string chunk(const std::string& data) {
        char size[20];
        std::snprintf(size, sizeof size, "%zx", data.size());
        return size + ("\r\n" + data + "\r\n");
    }

private:
    void serve() {
        for (;;) {
            UniqueFd connection{::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)};
            if (!connection) return;
            talk(connection);
        }
    }

    void talk(UniqueFd& connection) {
        std::string request;
        while (request.find("\r\n\r\n") == std::string::npos) {
            if (!read_more(connection.get(), request)) return;
        }
        const Answer answer = script_(request);
        while (answer.reads_body && !is_whole(request)) {
            if (!read_more(connection.get(), request)) return;
        }
        {
            const std::lock_guard lock{mutex_};
            requests_.push_back(request);
        }
        for (std::string_view rest = answer.bytes; !rest.empty();) {
            const ssize_t count = ::send(connection.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
            if (count <= 0) return;
            rest.remove_prefix(static_cast<std::size_t>(count));
        }
        if (answer.hold) held_.push_back(std::move(connection));
    }

    static bool read_more(int fd, std::string& request) {
        char piece[4096];
        const ssize_t count = ::recv(fd, piece, sizeof piece, 0);
        if (count > 0) request.append(piece, static_cast<std::size_t>(count));
        return count > 0;
    }

    static bool is_whole(const std::string& request) {
        const std::size_t body = request.find("\r\n\r\n") + 4;
        if (request.find("\r\nTransfer-Encoding: chunked\r\n") < body) {
            return request.size() >= body + 5 && request.substr(request.size() - 5) == "0\r\n\r\n";
        }
        const std::size_t length = request.find("Content-Length: ");
        return request.size() >= body + (length == std::string::npos ? 0 : std::stoul(request.substr(length + 16)));
    }

    SocketPath path_;
    Script script_;
    UniqueFd listener_;
    mutable std::mutex mutex_;
    std::vector<std::string> requests_;
    std::vector<UniqueFd> held_;
    std::thread thread_;
};

}  // namespace brokerd
