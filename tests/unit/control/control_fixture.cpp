#include "tests/unit/control/control_fixture.h"

#include <poll.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <stdexcept>

#include "common/os/system_error.h"
#include "daemon/control/control_socket.h"

namespace brokerd::test {
namespace {

using Clock = std::chrono::steady_clock;

void wait_for(int fd, short events) {
    pollfd polled{fd, events, 0};
    if (::poll(&polled, 1, static_cast<int>(std::chrono::milliseconds{kPatience}.count())) != 1) {
        throw std::runtime_error{"the server does not answer"};
    }
}

}  // namespace

std::vector<PluginView> FakeCore::list() const {
    if (throws) throw std::runtime_error{"list is broken"};
    std::vector<PluginView> all;
    for (const auto& [name, view] : plugins_) all.push_back(view);
    return all;
}

std::optional<PluginView> FakeCore::find(const std::string& name) const {
    const auto found = plugins_.find(name);
    return found == plugins_.end() ? std::nullopt : std::optional{found->second};
}

void FakeCore::when_settled(const std::string& name, std::chrono::milliseconds timeout, Settled done) {
    timeouts.push_back(timeout);
    const auto found = find(name);
    if (!found || found->state == "active" || found->state == "failed" || found->state == "invalid") return done(found);
    waiting_.emplace(name, std::move(done));
}

void FakeCore::activate(const std::string& name, std::chrono::milliseconds timeout, Settled done) {
    timeouts.push_back(timeout);
    if (!find(name)) return done(std::nullopt);
    waiting_.emplace(name, std::move(done));
}

void FakeCore::settle(const std::string& name) {
    const auto [begin, end] = waiting_.equal_range(name);
    for (auto waiter = begin; waiter != end; ++waiter) waiter->second(find(name));
    waiting_.erase(begin, end);
}

void FakeCore::note_missing_capability(const std::string& name, const std::string& capability) {
    missing.push_back(name + " " + capability);
}

std::vector<Finding> FakeCore::doctor() const {
    return findings;
}

PluginView plugin(std::string name, std::string state, std::vector<std::string> implements) {
    PluginView view;
    view.name = std::move(name);
    view.state = std::move(state);
    view.implements = std::move(implements);
    return view;
}

PluginEvent event(std::string action, std::string name, std::vector<std::string> implements) {
    PluginEvent published;
    published.action = std::move(action);
    published.plugin = std::move(name);
    published.implements = std::move(implements);
    return published;
}

rapidjson::Document Reply::json() const {
    auto parsed = parse_json(body);
    if (!parsed) throw std::runtime_error{"not JSON: " + body};
    return std::move(*parsed);
}

Client::Client(const std::string& path) : socket_{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    if (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        throw_errno("connect");
}

void Client::send(std::string_view bytes) {
    while (!bytes.empty()) {
        wait_for(socket_.get(), POLLOUT);
        const ssize_t count = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count < 0 && errno == EAGAIN) continue;
        if (count < 0) return;  // the server does not want to hear more; what it says is there to be read
        bytes.remove_prefix(static_cast<std::size_t>(count));
    }
}

bool Client::fill() {
    std::array<char, 65536> bytes;
    wait_for(socket_.get(), POLLIN);
    const ssize_t count = ::recv(socket_.get(), bytes.data(), bytes.size(), 0);
    if (count > 0) buffer_.append(bytes.data(), static_cast<std::size_t>(count));
    return count > 0;
}

std::string Client::take_until(std::string_view end) {
    std::size_t at = 0;
    while ((at = buffer_.find(end)) == buffer_.npos) {
        if (!fill()) throw std::runtime_error{"the connection ended early after: " + buffer_};
    }
    std::string taken = buffer_.substr(0, at + end.size());
    buffer_.erase(0, at + end.size());
    return taken;
}

std::string Client::receive_head() {
    return take_until("\r\n\r\n");
}

Reply Client::receive(bool to_head) {
    Reply reply;
    reply.head = receive_head();
    reply.status = static_cast<unsigned>(std::stoul(reply.head.substr(9, 3)));
    const auto length = reply.head.find("Content-Length: ");
    if (length == reply.head.npos || to_head) return reply;
    const std::size_t bytes = std::stoul(reply.head.substr(length + 16));
    while (buffer_.size() < bytes) {
        if (!fill()) throw std::runtime_error{"the body ended early"};
    }
    reply.body = buffer_.substr(0, bytes);
    buffer_.erase(0, bytes);
    return reply;
}

std::string Client::receive_line(bool chunked) {
    while (line_.find('\n') == line_.npos) {
        if (!chunked) {
            line_ += take_until("\n");
            continue;
        }
        const std::size_t bytes = std::stoul(take_until("\r\n"), nullptr, 16);
        while (buffer_.size() < bytes + 2) {
            if (!fill()) throw std::runtime_error{"the stream ended early"};
        }
        line_ += buffer_.substr(0, bytes);
        if (buffer_.substr(bytes, 2) != "\r\n") throw std::runtime_error{"a chunk has no end"};
        buffer_.erase(0, bytes + 2);
    }
    const std::size_t end = line_.find('\n');
    std::string line = line_.substr(0, end);
    line_.erase(0, end + 1);
    return line;
}

bool Client::receive_end() {
    while (fill()) {
    }
    return true;
}

Reply Client::request(const std::string& method, const std::string& target, const std::string& body) {
    send(method + " " + target + " HTTP/1.1\r\nHost: brokerd\r\nContent-Type: application/json\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body);
    return receive(method == "HEAD");
}

SocketDirectory::SocketDirectory() {
    char pattern[] = "/tmp/b.XXXXXX";
    if (::mkdtemp(pattern) == nullptr) throw_errno("mkdtemp");
    directory_ = pattern;
}

SocketDirectory::~SocketDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
}

ControlFixture::ControlFixture(ControlServer::Settings settings) : path{directory.path("control.sock")}, core{loop} {
    auto socket = bind_control_socket(path, std::nullopt);
    if (!socket) throw std::runtime_error{socket.error().message};
    settings.peers.own_uid = ::geteuid();
    server.emplace(loop, core, std::move(*socket), settings);
    thread_ = std::thread{[this] { loop.run(); }};
}

ControlFixture::~ControlFixture() {
    shut_down();
}

void ControlFixture::shut_down() {
    if (thread_.joinable()) {
        loop.post([this] { loop.stop(0); });
        thread_.join();
    }
    server.reset();
}

std::size_t thread_count() {
    const std::filesystem::directory_iterator tasks{"/proc/self/task"};
    return static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
}

std::size_t descriptor_count() {
    const std::filesystem::directory_iterator descriptors{"/proc/self/fd"};
    return static_cast<std::size_t>(std::distance(begin(descriptors), end(descriptors)));
}

bool eventually(const std::function<bool()>& condition) {
    const auto until = Clock::now() + kPatience;
    while (!condition()) {
        if (Clock::now() > until) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds{2});
    }
    return true;
}

}  // namespace brokerd::test
