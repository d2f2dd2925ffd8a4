#include "daemon/proxy/connection_keeper.h"

#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "common/os/socket_path.h"
#include "common/os/system_error.h"
#include "common/protocol/docker_plugin_api.h"
#include "daemon/loop/log.h"
#include "daemon/proxy/descriptor_store.h"
#include "daemon/proxy/message_writer.h"

// Rejected: a copy of each connection in systemd's store (a message to process 1 for each that is made and each that
// goes, and its limit for their number), and a process that is sent each connection (a message, and one more to hear of
// its end). A shared table costs nothing, whatever is opened.

namespace brokerd {
namespace {

// The names in the store.
constexpr auto kPrefix = "connections/";
constexpr auto kKeeperName = "connections/keeper";
constexpr auto kLedgerName = "connections/ledger";
/// Ours: for a process that does nothing to be gone, and with it what it has open.
constexpr int kEndMilliseconds = 2000;
/// Ours: of a request whose sender goes on sending, up to 1 MiB is read before it is answered.
constexpr int kMaxUnreadPieces = 16;

UniqueFd pidfd_of(pid_t process) {
    return UniqueFd{static_cast<int>(::syscall(SYS_pidfd_open, process, 0))};  // close-on-exec
}

/// A duplicate of what the process has open as `number`; empty, with errno, where we may not have it.
UniqueFd descriptor_of(const UniqueFd& process, int number) {
    return UniqueFd{static_cast<int>(::syscall(SYS_pidfd_getfd, process.get(), number, 0))};  // close-on-exec
}

constexpr auto kCutOff =
    "brokerd ended in the midst of this call (it was killed, or has crashed); whether the plugin has carried it out is "
    "not known, and the call is not repeated";

/// For a call that the last brokerd had read. What there is of its body is read first: closing with unread input would
/// reset the connection. A client that takes nothing just now gets no words.
void answer_cut_off(int connection) {
    std::array<char, 65536> unread;
    ssize_t count = 1;
    for (int i = 0; i < kMaxUnreadPieces && count > 0; ++i)
        count = ::recv(connection, unread.data(), unread.size(), MSG_DONTWAIT);
    const std::string body = error_body(kCutOff);
    const std::string answer =
        fmt::format("HTTP/1.1 502 Bad Gateway\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
                    docker_plugin_api::kMediaType, body.size(), body);
    static_cast<void>(::send(connection, answer.data(), answer.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
}

/// Runs in the copy of a process that may have had threads, and shares its descriptors: nothing but system calls, and
/// none that closes one.
[[noreturn]] void keep(int parent) {
    ::prctl(PR_SET_NAME, "brokerd-keeper");
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);  // ours are blocked, for the loop to read; here they are to end it
    struct pollfd ended {
        parent, POLLIN, 0
    };
    while (::poll(&ended, 1, -1) < 0 && errno == EINTR) {
    }
    ::poll(nullptr, 0, static_cast<int>(std::chrono::milliseconds{ConnectionKeeper::kPatience}.count()));
    ::_exit(0);
}

void end(const UniqueFd& process) {
    struct pollfd ended {
        process.get(), POLLIN, 0
    };
    ::syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0);
    while (::poll(&ended, 1, kEndMilliseconds) < 0 && errno == EINTR) {
    }
}

}  // namespace

ConnectionKeeper::ConnectionKeeper(ActivatedDescriptors& activated) {
    std::vector<UniqueFd> keepers;
    std::vector<UniqueFd> ledgers;
    for (auto& [name, descriptor] : activated.take_all(kPrefix))
        (name == kKeeperName ? keepers : ledgers).push_back(std::move(descriptor));
    // One of each, or it is not known which belong together.
    if (keepers.size() == 1 && ledgers.size() == 1) take_over(keepers.front(), ledgers.front());
    for (const UniqueFd& keeper : keepers) end(keeper);
    if (!keepers.empty()) remove_from_store(kKeeperName);
    if (!ledgers.empty()) remove_from_store(kLedgerName);
    if (has_descriptor_store()) start();
}

ConnectionKeeper::~ConnectionKeeper() {
    if (keeper_ == 0) return;
    remove_from_store(kKeeperName);
    remove_from_store(kLedgerName);
    end_own();
}

void ConnectionKeeper::take_over(const UniqueFd& keeper, const UniqueFd& ledger) {
    for (const int number : ConnectionLedger::marked(ledger, ConnectionLedger::State::resting)) {
        UniqueFd connection = descriptor_of(keeper, number);
        if (!connection) {
            if (errno == ESRCH) return;  // its patience is over, or somebody has ended it
            log_warning("engines' connections of the last brokerd cannot be gone on with: {}", errno_text(errno));
            return;
        }
        if (std::string path = socket_path(connection.get()); !path.empty())
            connections_.emplace(std::move(path), std::move(connection));
    }
    std::size_t cut_off = 0;
    for (const int number : ConnectionLedger::marked(ledger, ConnectionLedger::State::unanswered)) {
        const UniqueFd connection = descriptor_of(keeper, number);
        if (!connection || socket_path(connection.get()).empty()) continue;
        answer_cut_off(connection.get());
        ++cut_off;
    }
    log_info("{} of engines' connections have outlived the last brokerd; {} calls that it was at have failed",
             connections_.size(), cut_off);
}

void ConnectionKeeper::start() {
    ledger_ = ConnectionLedger::make();
    self_ = pidfd_of(::getpid());
    if (!ledger_ || !self_) return do_without(errno);
    const long made = ::syscall(SYS_clone, CLONE_FILES | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
    if (made == 0) keep(self_.get());
    if (made < 0) return do_without(errno);
    keeper_ = static_cast<pid_t>(made);
    const UniqueFd keeper = pidfd_of(keeper_);
    // Connections that the next brokerd may not take would only keep engines waiting.
    if (!keeper || !descriptor_of(keeper, self_.get())) {
        const int code = errno;
        end_own();
        return do_without(code);
    }
    store_descriptor(kKeeperName, keeper.get());
    store_descriptor(kLedgerName, ledger_->memory());
}

void ConnectionKeeper::do_without(int code) {
    log_warning("engines' connections will not outlive a crash of brokerd: {}", errno_text(code));
    ledger_.reset();
}

void ConnectionKeeper::end_own() {
    ::kill(keeper_, SIGKILL);  // ours to reap: no other process can have its number
    while (::waitpid(keeper_, nullptr, 0) < 0 && errno == EINTR) {
    }
    keeper_ = 0;
}

std::vector<UniqueFd> ConnectionKeeper::take(const std::string& path) {
    std::vector<UniqueFd> taken;
    const auto [first, last] = connections_.equal_range(path);
    for (auto found = first; found != last; ++found) taken.push_back(std::move(found->second));
    connections_.erase(first, last);
    return taken;
}

}  // namespace brokerd
