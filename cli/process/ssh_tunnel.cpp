// While ssh asks for a password, it has switched the terminal's echo off, and switches it on again when a signal ends
// it. But a shell takes the terminal back as soon as pluginctl has ended, and then ssh cannot any more. So until the
// other side has answered, a signal first ends ssh, then us. From then on it acts at once: nothing is to be put back,
// and a reader of our output that has stopped reading must not keep us; ssh ends then because we do.
#include "cli/process/ssh_tunnel.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "cli/process/child_process.h"
#include "cli/process/interrupt.h"
#include "cli/process/last_words.h"
#include "common/os/system_error.h"

namespace brokerd::cli {
namespace {

using namespace std::chrono_literals;

/// Ours: no line that ssh means for people is longer.
constexpr std::size_t kMaxLine = 400;
/// Ours: its connection has ended already; what is left is to exit.
constexpr std::chrono::seconds kTimeToEnd = 10s;
/// Ours: a person may have to find a password first; a person who pressed Tab waits for nothing.
constexpr std::chrono::milliseconds kTimeToAsk = 2min, kTimeToComplete = 5s;

/// What shells say with this status, and ssh with its own.
constexpr int kNoSuchCommand = 127, kSshFailed = 255;

/// The last line that is not blank: what went before is mostly banners and warnings.
std::string last_line_of(std::string text) {
    text.erase(text.find_last_not_of("\r\n \t") + 1);
    const std::size_t line_end = text.find_last_of("\r\n");
    if (line_end != std::string::npos) text.erase(0, line_end + 1);
    return text.substr(0, kMaxLine);
}

class SshConnection : public Tunnel::Connection {
public:
    explicit SshConnection(std::string host) : host_{std::move(host)} {}

    [[nodiscard]] std::optional<Error> start(const std::vector<std::string>& command) {
        std::array<int, 2> ends{};
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) throw_errno("socketpair");
        socket_.reset(ends[0]);
        const UniqueFd its{ends[1]};
        auto ssh = ChildProcess::start(command, {its.get(), its.get(), words_.fd()});
        if (!ssh) return ssh.error();
        words_.close_writing();
        ssh_.emplace(std::move(*ssh));
        return std::nullopt;
    }

    UniqueFd take_socket() override { return std::move(socket_); }

    std::string complaint() override {
        const std::optional<int> status = ssh_->wait_for(kTimeToEnd);
        std::string words = last_line_of(words_.take());
        if (!status) return words;
        constexpr std::string_view kOtherSide = "pluginctl dial-stdio: ";
        if (words.substr(0, kOtherSide.size()) == kOtherSide) return words.substr(kOtherSide.size());
        if (*status == kNoSuchCommand) return fmt::format("there is no pluginctl on {}; install brokerd there", host_);
        if (*status == kSshFailed && !words.empty()) return fmt::format("ssh says: {}; try: ssh {}", words, host_);
        if (*status == 0 && words.empty()) return words;
        return fmt::format("ssh ended with status {}{}{}", *status, words.empty() ? "" : ": ", words);
    }

    [[nodiscard]] int interrupt_fd() const noexcept override { return interrupt_.fd(); }
    void answered() noexcept override { interrupt_.release(); }

private:
    Interrupt interrupt_;  // first: it ends once ssh has ended
    const std::string host_;
    UniqueFd socket_;
    LastWords words_;
    std::optional<ChildProcess> ssh_;
};

}  // namespace

Result<std::unique_ptr<Tunnel::Connection>> SshTunnel::open() const {
    auto connection = std::make_unique<SshConnection>(address_.host);
    if (auto error = connection->start(ssh_command(address_, use_))) return fail(std::move(*error));
    return std::unique_ptr<Connection>{std::move(connection)};
}

std::chrono::milliseconds SshTunnel::time_for(std::chrono::milliseconds time) const {
    return use_ == SshUse::completion ? std::min(time, kTimeToComplete) : time + kTimeToAsk;
}

}  // namespace brokerd::cli
