#include "tests/unit/control/raw_client.h"

#include <poll.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <stdexcept>
#include <thread>

#include "common/os/system_error.h"

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

rapidjson::Document Reply::json() const {
    auto parsed = parse_json(body);
    if (!parsed) throw std::runtime_error{"not JSON: " + body};
    return std::move(*parsed);
}

Client::Client(const std::string& path) : Client{path, UniqueFd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)}} {}

Client::Client(const std::string& path, UniqueFd socket) : socket_{std::move(socket)} {
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

std::size_t Client::send_some(std::string_view bytes) {
    const ssize_t count = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return count > 0 ? static_cast<std::size_t>(count) : 0;
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

std::string Client::receive_chunk() {
    const std::size_t bytes = std::stoul(take_until("\r\n"), nullptr, 16);
    while (buffer_.size() < bytes + 2) {
        if (!fill()) throw std::runtime_error{"the stream ended early"};
    }
    std::string chunk = buffer_.substr(0, bytes);
    if (buffer_.substr(bytes, 2) != "\r\n") throw std::runtime_error{"a chunk has no end"};
    buffer_.erase(0, bytes + 2);
    return chunk;
}

std::string Client::receive_line(bool chunked) {
    while (line_.find('\n') == line_.npos) {
        if (!chunked) {
            line_ += take_until("\n");
            continue;
        }
        const std::string chunk = receive_chunk();
        if (chunk.empty()) throw std::runtime_error{"the stream ended early"};
        line_ += chunk;
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
