#include "cli/process/ssh_tunnel.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "cli/process/child_process.h"
#include "common/os/system_error.h"

namespace brokerd::cli {
namespace {

/// Ours: so much of the end of what ssh complained about is read, and a line of it shown.
constexpr std::size_t kMaxComplaint = 4096, kMaxLine = 400;
/// Ours: its connection has ended already; what is left is to exit.
constexpr std::chrono::seconds kTimeToEnd{10};

/// What shells say with this status, and ssh with its own.
constexpr int kNoSuchCommand = 127, kSshFailed = 255;

/// The last line of a file in memory that is not blank: what went before is mostly banners and warnings.
std::string last_line_of(int file) {
    std::array<char, kMaxComplaint> text{};
    const off_t size = std::max<off_t>(::lseek(file, 0, SEEK_END), 0);
    const ssize_t count = ::pread(file, text.data(), text.size(), std::max<off_t>(size - off_t{kMaxComplaint}, 0));
    std::string out(text.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    out.erase(out.find_last_not_of("\r\n \t") + 1);
    const std::size_t line_end = out.find_last_of("\r\n");
    if (line_end != std::string::npos) out.erase(0, line_end + 1);
    return out.substr(0, kMaxLine);
}

class SshConnection : public Tunnel::Connection {
public:
    SshConnection(std::string host, UniqueFd socket, UniqueFd complaints, ChildProcess ssh)
        : host_{std::move(host)},
          socket_{std::move(socket)},
          complaints_{std::move(complaints)},
          ssh_{std::move(ssh)} {}

    UniqueFd take_socket() override { return std::move(socket_); }

    std::string complaint() override {
        const std::optional<int> status = ssh_.wait_for(kTimeToEnd);
        std::string words = last_line_of(complaints_.get());
        if (!status) return words;
        constexpr std::string_view kOtherSide = "pluginctl dial-stdio: ";
        if (words.substr(0, kOtherSide.size()) == kOtherSide) return words.substr(kOtherSide.size());
        if (*status == kNoSuchCommand) return fmt::format("there is no pluginctl on {}; install brokerd there", host_);
        if (*status == kSshFailed && !words.empty()) return fmt::format("ssh says: {}; try: ssh {}", words, host_);
        if (*status == 0 && words.empty()) return words;
        return fmt::format("ssh ended with status {}{}{}", *status, words.empty() ? "" : ": ", words);
    }

private:
    const std::string host_;
    UniqueFd socket_;
    UniqueFd complaints_;
    ChildProcess ssh_;
};

}  // namespace

Result<std::unique_ptr<Tunnel::Connection>> SshTunnel::open() const {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) throw_errno("socketpair");
    UniqueFd ours{ends[0]};
    const UniqueFd its{ends[1]};
    UniqueFd complaints{::memfd_create("ssh", MFD_CLOEXEC)};
    auto ssh = ChildProcess::start(ssh_command(address_), {its.get(), its.get(), complaints.get()});
    if (!ssh) return fail(ssh.error());
    return std::unique_ptr<Connection>{
        std::make_unique<SshConnection>(address_.host, std::move(ours), std::move(complaints), std::move(*ssh))};
}

}  // namespace brokerd::cli
