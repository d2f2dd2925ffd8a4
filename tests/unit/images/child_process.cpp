#include "tests/unit/images/child_process.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "common/os/system_error.h"

namespace brokerd::test {
namespace {

constexpr std::size_t kSharedBytes = 1 << 16;

/// Memory that a child's writes are seen in: it stays a way out when every write() fails.
class SharedText {
public:
    SharedText()
        : bytes_{static_cast<char*>(
              ::mmap(nullptr, kSharedBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))} {
        if (bytes_ == MAP_FAILED) throw_errno("mmap");
    }
    ~SharedText() { ::munmap(bytes_, kSharedBytes); }
    SharedText(const SharedText&) = delete;
    SharedText& operator=(const SharedText&) = delete;

    void set(const std::string& text) { std::strncpy(bytes_, text.c_str(), kSharedBytes - 1); }
    [[nodiscard]] std::string get() const { return bytes_; }

private:
    char* bytes_;
};

pid_t fork_or_throw() {
    const pid_t child = ::fork();
    if (child < 0) throw_errno("fork");
    return child;
}

}  // namespace

std::string in_child(const std::function<std::string()>& work) {
    SharedText text;
    const pid_t child = fork_or_throw();
    if (child == 0) {
        try {
            text.set(work());
        } catch (const std::exception& error) {
            text.set(std::string{"exception: "} + error.what());
        }
        ::_exit(0);
    }
    int status = 0;
    if (::waitpid(child, &status, 0) != child) throw_errno("waitpid");
    if (!WIFEXITED(status)) throw std::runtime_error{"the child was killed by a signal"};
    return text.get();
}

void let_fail(std::initializer_list<long> system_calls, int code) {
    std::vector<sock_filter> filter{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
    for (const long number : system_calls) {
        filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(number), 0, 1));
        filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(code)));
    }
    filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        throw_errno("seccomp");
}

KillResult kill_at(unsigned stop, const std::function<void()>& work) {
    constexpr int kNotTraceable = 77;
    const pid_t child = fork_or_throw();
    if (child == 0) {
        if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(kNotTraceable);
        ::raise(SIGSTOP);
        work();
        ::_exit(0);
    }
    int status = 0;
    for (unsigned stops = 0;; ++stops) {
        if (::waitpid(child, &status, 0) != child) throw_errno("waitpid");
        if (WIFEXITED(status))
            return WEXITSTATUS(status) == kNotTraceable ? KillResult::not_traceable : KillResult::finished;
        if (!WIFSTOPPED(status)) throw std::runtime_error{"the child died by itself"};
        // The first stop is its own SIGSTOP; the kernel is told to let it die with us.
        if (stops == 0) ::ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_EXITKILL);
        if (stops == stop) break;
        ::ptrace(PTRACE_SYSCALL, child, nullptr, nullptr);
    }
    ::kill(child, SIGKILL);
    if (::waitpid(child, &status, 0) != child) throw_errno("waitpid");
    return KillResult::killed;
}

}  // namespace brokerd::test
