#include "cli/process/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "common/os/system_error.h"
#include "common/os/unique_fd.h"

namespace brokerd::cli {
namespace {

/// What posix_spawn(3) is told, freed with the object.
class SpawnPlan {
public:
    explicit SpawnPlan(ChildProcess::Wiring wiring) {
        ::posix_spawn_file_actions_init(&actions_);
        ::posix_spawnattr_init(&attributes_);
        const std::array<int, 3> descriptors{wiring.in, wiring.out, wiring.err};
        for (int target = 0; target < 3; ++target) {
            const int source = descriptors[static_cast<std::size_t>(target)];
            if (source < 0) {
                ::posix_spawn_file_actions_addopen(&actions_, target, "/dev/null", target == 0 ? O_RDONLY : O_WRONLY,
                                                   0);
            } else {
                ::posix_spawn_file_actions_adddup2(&actions_, source, target);
            }
        }
        sigset_t none, pipe;
        sigemptyset(&none);
        sigemptyset(&pipe);
        sigaddset(&pipe, SIGPIPE);
        ::posix_spawnattr_setsigmask(&attributes_, &none);
        ::posix_spawnattr_setsigdefault(&attributes_, &pipe);
        ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    }
    SpawnPlan(const SpawnPlan&) = delete;
    SpawnPlan& operator=(const SpawnPlan&) = delete;
    ~SpawnPlan() {
        ::posix_spawn_file_actions_destroy(&actions_);
        ::posix_spawnattr_destroy(&attributes_);
    }

    [[nodiscard]] const posix_spawn_file_actions_t* actions() const noexcept { return &actions_; }
    [[nodiscard]] const posix_spawnattr_t* attributes() const noexcept { return &attributes_; }

private:
    posix_spawn_file_actions_t actions_{};
    posix_spawnattr_t attributes_{};
};

}  // namespace

Result<ChildProcess> ChildProcess::start(const std::vector<std::string>& arguments, Wiring wiring) {
    std::vector<std::string> words = arguments;
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    const SpawnPlan plan{wiring};
    pid_t pid = 0;
    const int code = ::posix_spawnp(&pid, argv.front(), plan.actions(), plan.attributes(), argv.data(), environ);
    if (code != 0) return fail(fmt::format("cannot run {}: {}", arguments.front(), errno_text(code)));
    return ChildProcess{pid};
}

ChildProcess::~ChildProcess() {
    if (pid_ == 0) return;
    ::kill(pid_, SIGKILL);
    (void)wait();
}

std::optional<int> ChildProcess::wait_for(std::chrono::milliseconds time) {
    if (pid_ == 0) return status_;
    const UniqueFd process{static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0))};
    pollfd ended{process.get(), POLLIN, 0};
    if (::poll(&ended, 1, static_cast<int>(time.count())) == 0) return std::nullopt;
    return wait();
}

int ChildProcess::wait() {
    if (pid_ == 0) return status_;
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = 0;
    return status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace brokerd::cli
