#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/proxy/proxy.h"
#include "tests/unit/loop/loop_fixture.h"

namespace brokerd::test {

inline sockaddr_un unix_address(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::copy(path.begin(), path.end(), address.sun_path);
    return address;
}

inline UniqueFd listen_at(const std::string& path) {
    const sockaddr_un address = unix_address(path);
    UniqueFd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(socket.get(), 64) == 0);
    return socket;
}

/// One end of a connection, as a test drives it: everything waits, within a limit that only a broken test reaches.
class Peer {
public:
    explicit Peer(UniqueFd socket) : socket_{std::move(socket)} {}
    static Peer connect(const std::string& path) {
        const sockaddr_un address = unix_address(path);
        UniqueFd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        REQUIRE(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        return Peer{std::move(socket)};
    }
    static Peer accept(const UniqueFd& listener) {
        pollfd ready{listener.get(), POLLIN, 0};
        REQUIRE(::poll(&ready, 1, kLimit) == 1);
        return Peer{UniqueFd{::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)}};
    }

    /// False where the other end takes nothing any more.
    bool send(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t count = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (count < 0) return false;
            bytes.remove_prefix(static_cast<std::size_t>(count));
        }
        return true;
    }
    /// Everything up to and with `end`, or to the end of the connection.
    std::string read_until(std::string_view end) {
        while (seen_.find(end) == std::string::npos && more()) {
        }
        const std::size_t at = std::min(seen_.find(end), seen_.size());
        return take(std::min(at + end.size(), seen_.size()));
    }
    std::string read(std::size_t count) {
        while (seen_.size() < count && more()) {
        }
        return take(std::min(count, seen_.size()));
    }
    std::string read_to_end() {
        while (more()) {
        }
        return take(seen_.size());
    }
    /// Takes what has come by now, for one of the above; false once the connection has ended.
    bool look() {
        while (is_readable()) {
            if (!more()) return false;
        }
        return true;
    }
    void close() { socket_.reset(); }
    /// Whether something has come, or the end of the connection.
    [[nodiscard]] bool is_readable() const {
        pollfd ready{socket_.get(), POLLIN, 0};
        return ::poll(&ready, 1, 0) == 1;
    }

private:
    static constexpr int kLimit = 20'000;

    bool more() {
        pollfd ready{socket_.get(), POLLIN, 0};
        REQUIRE(::poll(&ready, 1, kLimit) == 1);
        char bytes[65536];
        const ssize_t count = ::recv(socket_.get(), bytes, sizeof bytes, 0);
        if (count > 0) seen_.append(bytes, static_cast<std::size_t>(count));
        return count > 0;
    }
    std::string take(std::size_t count) {
        std::string taken = seen_.substr(0, count);
        seen_.erase(0, count);
        return taken;
    }

    UniqueFd socket_;
    std::string seen_;
};

/// A proxy with one active plugin, which the test plays; a managed one where `paths` are given. The route is there
/// before the first connection: a later set_route() reaches the proxy's threads when they come to it.
struct ProxyFixture {
    explicit ProxyFixture(std::shared_ptr<const PathRewrite> paths = nullptr) {
        auto made = route();
        made->paths = std::move(paths);
        proxy.publish(listen_at(published), std::move(made));
    }

    std::shared_ptr<Route> route() {
        auto made = std::make_shared<Route>();
        made->id = 1;
        made->plugin = "vieux/sshfs:latest";
        made->state = Route::State::active;
        made->target = *Target::prepare(*Endpoint::parse("unix://" + endpoint));
        made->manifest = *Manifest::parse(R"({"Implements":["VolumeDriver"]})");
        made->answer_limits = std::make_shared<const AnswerLimits>();
        return made;
    }

    static std::string request(std::string_view method, std::string_view more = "") {
        std::string text = "POST /VolumeDriver.";
        return text.append(method)
            .append(" HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n")
            .append(more)
            .append("\r\n{}");
    }
    static std::string answer(std::string_view body, std::string_view more = "") {
        return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + std::string{more} +
               "\r\n" + std::string{body};
    }
    /// Lets the proxy's threads and the core loop go on until `done`.
    bool wait_for(const std::function<bool()>& done) { return run_until(loop, done); }

    TemporaryDirectory directory;
    std::string published = directory / "published.sock";
    std::string endpoint = directory / "plugin.sock";
    UniqueFd plugin = listen_at(endpoint);
    CoreLoop loop;
    RouteReports reports{[](auto&&...) {}, [](auto&&...) {}, [](auto&&...) {}, [](auto&&...) {}};
    Proxy proxy{loop, ProxySettings{}, reports};
};

}  // namespace brokerd::test
