#include "daemon/archive/confinement.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <functional>

#include "common/os/unique_fd.h"
#include "daemon/archive/refused.h"
#include "tests/unit/temporary_directory.h"

// What a worker could still do whose memory an archive has taken over: each attempt is made by a process of its own
// that has confined itself as workers do.

using namespace brokerd;
using namespace brokerd::test;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kHasFilter = false;  // see confinement.cpp
#else
constexpr bool kHasFilter = true;
#endif

constexpr int kCannotConfine = 255;

/// How the attempt ended: errno, 0 where it succeeded, or minus the signal that killed the process.
int outcome_of(Confinement confinement, const std::string& root, const std::function<long()>& attempt) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        int problem = kCannotConfine;
        try {
            const UniqueFd directory{::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
            confine(confinement, directory.get(), directory.get(), ArchiveLimits{});
            problem = attempt() < 0 ? errno : 0;
        } catch (const Refused&) {
        }
        ::_exit(problem);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

struct Attempt {
    const char* what;
    std::function<long()> attempt;
};

/// Ways to more than one's own memory and descriptors, which no confinement needs.
std::vector<Attempt> ways_out() {
    static clone_args args{};
    static char* const nothing[] = {nullptr};
    return {{"fork", [] { return ::syscall(SYS_fork); }},
            {"clone3", [] { return ::syscall(SYS_clone3, &args, sizeof args); }},
            {"execve", [] { return ::syscall(SYS_execve, "/bin/sh", nothing, nothing); }},
            {"execveat", [] { return ::syscall(SYS_execveat, AT_FDCWD, "/bin/sh", nothing, nothing, 0); }},
            {"a socket", [] { return ::syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0); }},
            {"io_uring", [] { return ::syscall(SYS_io_uring_setup, 1, nothing); }},
            {"bpf", [] { return ::syscall(SYS_bpf, 0, nothing, 0); }},
            {"perf", [] { return ::syscall(SYS_perf_event_open, nothing, 0, -1, -1, 0); }},
            {"userfaultfd", [] { return ::syscall(SYS_userfaultfd, 0); }},
            {"a key", [] { return ::syscall(SYS_keyctl, 0, 0, 0, 0, 0); }},
            {"ptrace of the parent", [] { return ::syscall(SYS_ptrace, PTRACE_ATTACH, ::getppid(), 0, 0); }},
            {"memory of the parent",
             [] { return ::syscall(SYS_process_vm_readv, ::getppid(), nothing, 0, nothing, 0, 0); }},
            {"a descriptor of the parent", [] { return ::syscall(SYS_pidfd_open, ::getppid(), 0); }},
            {"a signal to the parent", [] { return ::syscall(SYS_kill, ::getppid(), 0); }},
            {"a namespace", [] { return ::syscall(SYS_unshare, CLONE_NEWUSER); }},
            {"another root", [] { return ::syscall(SYS_chroot, "."); }},
            {"a mount", [] { return ::syscall(SYS_mount, "none", "/", "tmpfs", 0, nullptr); }},
            {"a file handle", [] { return ::syscall(SYS_open_by_handle_at, AT_FDCWD, nothing, 0); }},
            {"a privilege", [] { return ::syscall(SYS_setuid, 0); }}};
}

}  // namespace

TEST_CASE("a worker that was taken over finds no way out by a system call", "[archive]") {
    if (::geteuid() != 0 || !kHasFilter) return;
    const TemporaryDirectory root;
    for (const Confinement confinement :
         {Confinement::stream, Confinement::pack, Confinement::unpack, Confinement::extract}) {
        for (const Attempt& way : ways_out()) {
            INFO(way.what << " in confinement " << static_cast<int>(confinement));
            CHECK(outcome_of(confinement, root.path(), way.attempt) == EPERM);
        }
    }
}

TEST_CASE("system calls under other numbers end the worker", "[archive]") {
    if (::geteuid() != 0 || !kHasFilter) return;
#ifdef __x86_64__
    const TemporaryDirectory root;
    constexpr long kX32 = 0x40000000;
    CHECK(outcome_of(Confinement::unpack, root.path(),
                     [] { return ::syscall(kX32 | SYS_socket, AF_UNIX, SOCK_STREAM, 0); }) == -SIGSYS);
    CHECK(outcome_of(Confinement::unpack, root.path(), [] {
              long result = 359;  // socket of the 32-bit table
              asm volatile("int $0x80" : "+a"(result) : "b"(AF_UNIX), "c"(SOCK_STREAM), "d"(0) : "memory");
              return result;
          }) == -SIGSYS);
#endif
}

TEST_CASE("a worker's root is all there is", "[archive]") {
    if (::geteuid() != 0) return;
    const TemporaryDirectory root;
    write_file(root / "inside", "x");
    const auto open = [&](const char* path, Confinement confinement = Confinement::unpack) {
        return outcome_of(confinement, root.path(), [path] { return ::openat(AT_FDCWD, path, O_RDONLY); });
    };
    CHECK(open("inside") == 0);
    CHECK(open("/inside") == 0);
    CHECK(open("../../../../../../etc/passwd") == ENOENT);
    CHECK(open("/etc/passwd") == ENOENT);
    CHECK(open("/proc/self/root") == ENOENT);
    if (kHasFilter) CHECK(open("inside", Confinement::stream) == EPERM);
}

TEST_CASE("of root's power a worker keeps what its job needs", "[archive]") {
    if (::geteuid() != 0) return;
    const TemporaryDirectory root;
    const auto own_away = [] {
        const UniqueFd file{::openat(AT_FDCWD, "given", O_WRONLY | O_CREAT, 0600)};
        return file ? ::fchown(file.get(), 1000, 1000) : -1;
    };
    CHECK(outcome_of(Confinement::unpack, root.path(), own_away) == 0);
    CHECK(outcome_of(Confinement::extract, root.path(), own_away) == EPERM);
}
