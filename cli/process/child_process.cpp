// posix_spawn(3) cannot say that the child is to end with its parent (PR_SET_PDEATHSIG), hence fork and exec. Without
// that, an ssh whose pluginctl was killed would stay for as long as nothing came for it to carry.
#include "cli/process/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "common/os/pipe.h"
#include "common/os/system_error.h"

namespace brokerd::cli {
namespace {

/// Ours: two seconds, enough for ssh to give a terminal its echo back. It is asked more than once: of a signal that
/// comes just before it begins to read a password it takes note, and then reads.
constexpr int kMostRequests = 20;
constexpr std::chrono::milliseconds kTimeToObey{100};

/// In the child, as is all that it calls: no memory may be had there, another thread may have held its lock.
bool connect_stream(int source, int target) {
    if (source >= 0) return ::dup2(source, target) == target;
    const int nothing = ::open("/dev/null", (target == 0 ? O_RDONLY : O_WRONLY) | O_CLOEXEC);
    return nothing >= 0 && ::dup2(nothing, target) == target;
}

bool prepare(const ChildProcess::Wiring& wiring, pid_t parent) {
    if (::prctl(PR_SET_PDEATHSIG, SIGTERM) != 0) return false;
    if (::getppid() != parent) ::_exit(1);  // it has ended already, and told nobody
    if (!connect_stream(wiring.in, 0) || !connect_stream(wiring.out, 1) || !connect_stream(wiring.err, 2)) return false;
    sigset_t none;
    sigemptyset(&none);
    return std::signal(SIGPIPE, SIG_DFL) != SIG_ERR && ::sigprocmask(SIG_SETMASK, &none, nullptr) == 0;
}

[[noreturn]] void become(char* const* argv, const ChildProcess::Wiring& wiring, pid_t parent, int failure) {
    if (prepare(wiring, parent)) ::execvp(argv[0], argv);
    const int code = errno;
    (void)!::write(failure, &code, sizeof code);
    ::_exit(127);
}

int reap(pid_t pid) {
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

Result<ChildProcess> ChildProcess::start(const std::vector<std::string>& arguments, Wiring wiring) {
    std::vector<std::string> words = arguments;
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    auto failure = make_pipe();
    if (!failure) throw_errno("pipe");

    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) return fail(fmt::format("cannot run {}: {}", arguments.front(), errno_text(errno)));
    if (pid == 0) become(argv.data(), wiring, parent, failure->write_end.get());
    failure->write_end.reset();
    // Its end is closed by exec: either nothing comes, or why there was no exec.
    int code = 0;
    ssize_t count = 0;
    while ((count = ::read(failure->read_end.get(), &code, sizeof code)) < 0 && errno == EINTR) {
    }
    if (count <= 0) return ChildProcess{pid};
    (void)reap(pid);
    return fail(fmt::format("cannot run {}: {}", arguments.front(), errno_text(code)));
}

ChildProcess::~ChildProcess() {
    if (pid_ == 0) return;
    for (int i = 0; i < kMostRequests; ++i) {
        ::kill(pid_, SIGTERM);
        if (wait_for(kTimeToObey)) return;
    }
    ::kill(pid_, SIGKILL);
    (void)wait();
}

std::optional<int> ChildProcess::wait_for(std::chrono::milliseconds time) {
    if (pid_ == 0) return status_;
    using Clock = std::chrono::steady_clock;
    const UniqueFd process{static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0))};
    for (const auto end = Clock::now() + time;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
        pollfd ended{process.get(), POLLIN, 0};
        const int ready = left <= 0 ? 0 : ::poll(&ended, 1, static_cast<int>(left));
        if (ready == 0 || (ready < 0 && errno != EINTR)) return std::nullopt;
        if (ready > 0) return wait();
    }
}

int ChildProcess::wait() {
    if (pid_ == 0) return status_;
    status_ = reap(std::exchange(pid_, 0));
    return status_;
}

}  // namespace brokerd::cli
