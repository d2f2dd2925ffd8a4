#include "daemon/archive/confinement.h"

// Four walls, each enough by itself against a mere bug in path handling, and together against one that runs code:
// the root directory (there is no descriptor to anything above it), no capability to leave it, no system call to do
// anything but file work in it, and no memory or time to exhaust the host. Where a sanitizer watches the process, the
// last two are left out: it needs memory and system calls of its own.

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#include <sanitizer/common_interface_defs.h>
#endif

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <memory>

#include "common/os/system_error.h"
#include "common/os/unique_fd.h"
#include "daemon/archive/refused.h"

namespace brokerd {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kIsSanitized = true;
/// A sanitizer opens the file for its report when there is one: with another root it could not.
void report_to_stderr() {
    __sanitizer_set_report_fd(reinterpret_cast<void*>(std::intptr_t{STDERR_FILENO}));
}
#else
constexpr bool kIsSanitized = false;
void report_to_stderr() {}
#endif

constexpr rlim_t kMaxDescriptors = 8192;  ///< a tree's depth, where one descriptor is held for each level

void require(bool done, const char* step) {
    if (!done) throw Refused{fmt::format("cannot be handled in a confined process: {}: {}", step, errno_text(errno))};
}

std::uint64_t capabilities_of(Confinement confinement) {
    const auto bit = [](int capability) { return std::uint64_t{1} << static_cast<unsigned>(capability); };
    switch (confinement) {
        case Confinement::stream:
            return 0;
        case Confinement::pack:
            return bit(CAP_DAC_READ_SEARCH);
        case Confinement::unpack:
            return bit(CAP_CHOWN) | bit(CAP_DAC_OVERRIDE) | bit(CAP_FOWNER) | bit(CAP_FSETID) | bit(CAP_MKNOD) |
                   bit(CAP_SETFCAP);
        case Confinement::extract:
            return bit(CAP_DAC_OVERRIDE);
    }
    std::abort();
}

void set_capabilities(std::uint64_t kept) {
    for (unsigned capability = 0; capability <= CAP_LAST_CAP; ++capability) {
        if ((kept >> capability & 1U) == 0) prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);  // a newer header's: unknown
    }
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2] = {};
    for (unsigned half = 0; half < 2; ++half)
        data[half].effective = data[half].permitted = static_cast<__u32>(kept >> (32U * half));
    require(syscall(SYS_capset, &header, data) == 0, "giving up capabilities");
}

void set_limit(__rlimit_resource resource, rlim_t value) {
    rlimit limit{};
    require(getrlimit(resource, &limit) == 0, "reading a resource limit");
    limit.rlim_cur = limit.rlim_max = std::min(limit.rlim_max, value);
    require(setrlimit(resource, &limit) == 0, "setting a resource limit");
}

/// Bytes of writable private memory that the process has by now: what RLIMIT_DATA counts (proc(5), statm).
std::uint64_t memory_in_use() {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file{std::fopen("/proc/self/statm", "re"), &std::fclose};
    unsigned long pages = 0;
    require(file && std::fscanf(file.get(), "%*u %*u %*u %*u %*u %lu", &pages) == 1, "reading /proc/self/statm");
    return std::uint64_t{pages} * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

void set_limits(const ArchiveLimits& limits, bool opens_files) {
    const auto seconds = static_cast<rlim_t>(limits.cpu_time.count());
    set_limit(RLIMIT_CPU, seconds);
    set_limit(RLIMIT_CORE, 0);
    set_limit(RLIMIT_FSIZE, std::max(limits.bytes, limits.stream_bytes));
    if (opens_files) set_limit(RLIMIT_NOFILE, kMaxDescriptors);
    if (!kIsSanitized) set_limit(RLIMIT_DATA, memory_in_use() + limits.memory);
}

class SystemCalls {
public:
    SystemCalls() : filter_{seccomp_init(SCMP_ACT_ERRNO(EPERM))} {
        if (filter_ == nullptr) throw std::bad_alloc{};
    }
    ~SystemCalls() { seccomp_release(filter_); }
    SystemCalls(const SystemCalls&) = delete;
    SystemCalls& operator=(const SystemCalls&) = delete;

    void allow(std::initializer_list<int> calls) {
        for (const int call : calls) {
            errno = -seccomp_rule_add(filter_, SCMP_ACT_ALLOW, call, 0);
            require(errno == 0, "choosing system calls");
        }
    }
    void load() {
        errno = -seccomp_load(filter_);
        require(errno == 0, "giving up system calls");
    }

private:
    scmp_filter_ctx filter_;
};

void set_system_calls(Confinement confinement) {
    SystemCalls calls;
    // Memory, plain descriptors, the end; what abort() needs, so that a crash looks like one.
    calls.allow({SCMP_SYS(read),          SCMP_SYS(write),          SCMP_SYS(writev),
                 SCMP_SYS(close),         SCMP_SYS(lseek),          SCMP_SYS(fstat),
                 SCMP_SYS(newfstatat),    SCMP_SYS(mmap),           SCMP_SYS(munmap),
                 SCMP_SYS(mremap),        SCMP_SYS(mprotect),       SCMP_SYS(madvise),
                 SCMP_SYS(brk),           SCMP_SYS(futex),          SCMP_SYS(getrandom),
                 SCMP_SYS(clock_gettime), SCMP_SYS(exit),           SCMP_SYS(exit_group),
                 SCMP_SYS(rt_sigreturn),  SCMP_SYS(rt_sigprocmask), SCMP_SYS(restart_syscall),
                 SCMP_SYS(getpid),        SCMP_SYS(gettid),         SCMP_SYS(tgkill)});
    if (confinement != Confinement::stream) {
        calls.allow({SCMP_SYS(openat), SCMP_SYS(openat2), SCMP_SYS(fcntl), SCMP_SYS(getdents64), SCMP_SYS(readlinkat),
                     SCMP_SYS(statx), SCMP_SYS(pread64), SCMP_SYS(flistxattr), SCMP_SYS(fgetxattr)});
    }
    if (confinement == Confinement::unpack || confinement == Confinement::extract) {
        calls.allow({SCMP_SYS(pwrite64), SCMP_SYS(ftruncate), SCMP_SYS(mkdirat), SCMP_SYS(unlinkat)});
    }
    if (confinement == Confinement::unpack) {
        calls.allow({SCMP_SYS(symlinkat), SCMP_SYS(linkat), SCMP_SYS(mknodat), SCMP_SYS(fchown), SCMP_SYS(fchownat),
                     SCMP_SYS(fchmod), SCMP_SYS(fchmodat), SCMP_SYS(fsetxattr), SCMP_SYS(utimensat)});
    }
    calls.load();
}

void change_root(int root) {
    // Not needed once system calls are few, so it may fail where an outer container forbids it.
    if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) == 0) errno = 0;
    require(fchdir(root) == 0 && chroot(".") == 0 && chdir("/") == 0, "changing the root directory (this needs root)");
}

}  // namespace

void confine(Confinement confinement, int root, int last_fd, const ArchiveLimits& limits) {
    require(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0, "asking to die with the daemon");
    require(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0, "hiding from debuggers");
    require(syscall(SYS_close_range, static_cast<unsigned>(last_fd) + 1, ~0U, 0U) == 0, "closing descriptors");
    umask(0);
    set_limits(limits, confinement != Confinement::stream);
    report_to_stderr();
    if (confinement == Confinement::stream) {
        // An empty place that exists everywhere, cannot be written to, and is gone with the process.
        const UniqueFd nowhere{open("/proc/self/fdinfo", O_PATH | O_DIRECTORY | O_CLOEXEC)};
        require(static_cast<bool>(nowhere), "opening /proc/self/fdinfo");
        change_root(nowhere.get());
    } else {
        change_root(root);
    }
    set_capabilities(capabilities_of(confinement));
    require(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "giving up privileges");
    if (!kIsSanitized) set_system_calls(confinement);
}

}  // namespace brokerd
