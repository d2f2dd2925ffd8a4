#include "tests/unit/control/job_fixture.h"

#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <stdexcept>

#include "daemon/control/control_socket.h"

namespace brokerd::test {
namespace {

/// Prime, so that it fits no buffer.
constexpr std::size_t kPeriod = 65'521;

std::size_t status_kib(std::string_view name) {
    std::ifstream status{"/proc/self/status"};
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with(name)) return std::stoul(line.substr(name.size() + 1));
    }
    throw std::runtime_error{"no such line"};
}

}  // namespace

UniqueFd listen_on(const std::string& path) {
    auto socket = bind_control_socket(path, std::nullopt);
    if (!socket) throw std::runtime_error{socket.error().message};
    return std::move(*socket);
}

JobFixture::JobFixture(Work work, HttpServer::Limits limits)
    : path_{directory_.path("job.sock")},
      work_{std::move(work)},
      server_{listen_on(path_), PeerPolicy{::geteuid(), std::nullopt}, limits} {
    ::signal(SIGPIPE, SIG_IGN);  // as main does
    server_.start([this](const ControlRequest& request, const Exchange& exchange) { handle(request, exchange); },
                  [](const ControlRequest& head) { return head.path == "/job" || head.path == "/refuse"; });
}

void JobFixture::handle(const ControlRequest& request, const Exchange& exchange) {
    if (request.path == "/never") return;
    if (request.path == "/refuse") return exchange.reply({409, "text/plain", "no", {}});
    if (request.path != "/job" && request.path != "/collected") return exchange.reply({200, "text/plain", "OK", {}});
    exchange.start_job([this, request](Job& job) { work_(job, request); });
}

Client JobFixture::post(std::string_view headers, std::string_view body, std::string_view target) {
    Client client = connect();
    client.send("POST " + std::string{target} + " HTTP/1.1\r\n" + std::string{headers} + "\r\n");
    if (!body.empty()) client.send(body);
    return client;
}

std::string pattern(std::size_t offset, std::size_t size) {
    static const std::string period = [] {
        std::string bytes(kPeriod * 2, '\0');
        std::size_t state = 1;
        for (std::size_t i = 0; i < kPeriod; ++i) {
            state = state * 6364136223846793005U + 1442695040888963407U;
            bytes[i] = bytes[i + kPeriod] = static_cast<char>(state >> 56U);
        }
        return bytes;
    }();
    std::string piece;
    piece.reserve(size);
    while (piece.size() < size) {
        const std::size_t at = (offset + piece.size()) % kPeriod;
        piece.append(period, at, std::min(size - piece.size(), kPeriod));
    }
    return piece;
}

bool becomes_readable(int fd) {
    pollfd polled{fd, POLLIN, 0};
    return ::poll(&polled, 1, static_cast<int>(std::chrono::milliseconds{kPatience}.count())) == 1;
}

MemoryPeak::MemoryPeak() {
    std::ofstream{"/proc/self/clear_refs"} << 5;  // proc(5): VmHWM begins again
    before_ = status_kib("VmRSS:");
}

std::size_t MemoryPeak::growth() const {
    const std::size_t peak = status_kib("VmHWM:");
    return peak > before_ ? (peak - before_) * 1024 : 0;
}

}  // namespace brokerd::test
