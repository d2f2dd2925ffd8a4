#include "daemon/archive/worker_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <optional>

#include "common/os/pipe.h"
#include "common/os/system_error.h"
#include "common/os/unique_fd.h"
#include "daemon/archive/worker.h"

namespace brokerd {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kReadBytes = std::size_t{64} << 10;

/// A child that is followed by its pidfd; killed and reaped at the latest when this goes.
class Child {
public:
    Child(pid_t pid, UniqueFd pidfd) noexcept : pid_{pid}, pidfd_{std::move(pidfd)} {}
    Child(Child&& other) noexcept : pid_{std::exchange(other.pid_, -1)}, pidfd_{std::move(other.pidfd_)} {}
    ~Child() {
        kill();
        reap();
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    Child& operator=(Child&&) = delete;

    void kill() const noexcept {
        if (pid_ > 0) syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0U);
    }
    /// Whether it ends by itself soon, with its pipes closed.
    [[nodiscard]] bool ends() const noexcept {
        constexpr int kPatience = 2000;  // milliseconds
        pollfd end{pidfd_.get(), POLLIN, 0};
        return poll(&end, 1, kPatience) == 1;
    }
    /// Waits for its end.
    siginfo_t reap() noexcept {
        siginfo_t how{};
        if (pid_ < 0) return how;
        while (waitid(P_PID, static_cast<id_t>(pid_), &how, WEXITED) != 0 && errno == EINTR) {
        }
        pid_ = -1;
        return how;
    }

private:
    pid_t pid_;
    UniqueFd pidfd_;
};

/// What posix_spawn(3) takes, made and freed.
class SpawnPlan {
public:
    SpawnPlan() {
        posix_spawn_file_actions_init(&actions_);
        posix_spawnattr_init(&attributes_);
        sigset_t none;
        sigset_t all;
        sigemptyset(&none);
        sigfillset(&all);
        posix_spawnattr_setsigmask(&attributes_, &none);
        posix_spawnattr_setsigdefault(&attributes_, &all);
        posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    }
    ~SpawnPlan() {
        posix_spawn_file_actions_destroy(&actions_);
        posix_spawnattr_destroy(&attributes_);
    }
    SpawnPlan(const SpawnPlan&) = delete;
    SpawnPlan& operator=(const SpawnPlan&) = delete;

    /// Lets the child have `fd` as number `target`. First as a duplicate out of the way of all targets.
    [[nodiscard]] bool give(int fd, int target, int above) {
        const int duplicate = fcntl(fd, F_DUPFD_CLOEXEC, above);
        if (duplicate < 0) return false;
        duplicates_.emplace_back(duplicate);
        return posix_spawn_file_actions_adddup2(&actions_, duplicate, target) == 0;
    }
    /// The pid, or -1 with errno.
    [[nodiscard]] pid_t spawn(const std::vector<std::string>& arguments) const {
        std::vector<char*> pointers;
        for (const std::string& argument : arguments) pointers.push_back(const_cast<char*>(argument.c_str()));
        pointers.push_back(nullptr);
        char* const environment[] = {nullptr};
        pid_t pid = -1;
        errno = posix_spawn(&pid, "/proc/self/exe", &actions_, &attributes_, pointers.data(), environment);
        return errno == 0 ? pid : -1;
    }

private:
    posix_spawn_file_actions_t actions_{};
    posix_spawnattr_t attributes_{};
    std::vector<UniqueFd> duplicates_;
};

using Kind = ArchiveError::Kind;

[[nodiscard]] Failure<ArchiveError> failure(Kind kind, std::string message) {
    return fail(ArchiveError{kind, std::move(message)});
}

[[nodiscard]] Failure<ArchiveError> cannot_start() {
    return failure(Kind::host, fmt::format("cannot start the archive worker: {}", errno_text(errno)));
}

ArchiveResult<Child> start(const WorkerJob& job, const ArchiveLimits& limits, const UniqueFd& report,
                           const UniqueFd& output) {
    const UniqueFd null{open("/dev/null", O_RDWR | O_CLOEXEC)};
    if (!null) return cannot_start();
    const int above = kFirstInputFd + static_cast<int>(job.inputs.size());
    SpawnPlan plan;
    bool given = plan.give(null.get(), STDIN_FILENO, above) && plan.give(null.get(), STDOUT_FILENO, above) &&
                 plan.give(report.get(), kReportFd, above) &&
                 plan.give(job.directory >= 0 ? job.directory : null.get(), kDirectoryFd, above) &&
                 plan.give(output ? output.get() : null.get(), kOutputFd, above);
    for (std::size_t i = 0; given && i < job.inputs.size(); ++i)
        given = plan.give(job.inputs[i], kFirstInputFd + static_cast<int>(i), above);
    if (!given) return cannot_start();
    std::vector<std::string> arguments{"brokerd", std::string{kArchiveWorkerArgument}, job.name, write_limits(limits)};
    arguments.insert(arguments.end(), job.arguments.begin(), job.arguments.end());
    const pid_t pid = plan.spawn(arguments);
    if (pid < 0) return cannot_start();
    UniqueFd pidfd{static_cast<int>(syscall(SYS_pidfd_open, pid, 0U))};  // not reaped yet, so it is this one
    if (!pidfd) {
        const int cause = errno;
        ::kill(pid, SIGKILL);
        waitpid(pid, nullptr, 0);
        errno = cause;
        return cannot_start();
    }
    return Child{pid, std::move(pidfd)};
}

/// Reads what is there. False at the end.
Result<bool> read_into(const UniqueFd& fd, const std::function<Result<bool>(std::string_view)>& take) {
    std::array<char, kReadBytes> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init): read() fills it
    const ssize_t got = read(fd.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) return true;
    if (got < 0) return fail(fmt::format("cannot hear the archive worker: {}", errno_text(errno)));
    if (got == 0) return false;
    if (const auto taken = take({buffer.data(), static_cast<std::size_t>(got)}); !taken) return fail(taken.error());
    return true;
}

/// Listens until the worker has closed both pipes. The report is read first: it says why there is no more output.
ArchiveResult<bool> listen(const WorkerJob& job, const ArchiveLimits& limits, int cancel_fd, WorkerReport& report,
                           UniqueFd& report_end, UniqueFd& output_end) {
    const auto deadline = Clock::now() + limits.time;
    while (report_end || output_end) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
        if (left.count() <= 0)
            return failure(Kind::refused,
                           fmt::format("took longer than {} seconds and was given up", limits.time.count()));
        std::array<pollfd, 3> fds{
            {{report_end.get(), POLLIN, 0}, {output_end.get(), POLLIN, 0}, {cancel_fd, POLLIN, 0}}};
        const int ready = poll(fds.data(), fds.size(), static_cast<int>(std::min<std::int64_t>(left.count(), 1 << 30)));
        if (ready < 0 && errno != EINTR)
            return failure(Kind::host, fmt::format("cannot wait for the archive worker: {}", errno_text(errno)));
        if (ready <= 0) continue;
        if (fds[2].revents != 0) return failure(Kind::cancelled, "was cancelled");
        if (fds[0].revents != 0) {
            const auto more = read_into(report_end, [&](std::string_view bytes) { return report.feed(bytes); });
            if (!more) return failure(Kind::host, more.error().message);
            if (!*more) report_end.reset();
        }
        if (fds[1].revents != 0) {
            const auto more = read_into(output_end, job.output);
            if (!more) return failure(Kind::host, more.error().message);
            if (!*more) output_end.reset();
        }
    }
    return true;
}

Failure<ArchiveError> cause_of_death(const siginfo_t& how) {
    if (how.si_code == CLD_EXITED)
        return failure(Kind::host, fmt::format("the archive worker ended with status {}", how.si_status));
    if (how.si_status == SIGXCPU) return failure(Kind::refused, "took more processor time than an archive may");
    return failure(Kind::host, fmt::format("the archive worker was killed by signal {}", how.si_status));
}

Failure<ArchiveError> reported(const WorkerReport& report) {
    return failure(report.is_host_to_blame() ? Kind::host : Kind::refused, *report.error());
}

}  // namespace

ArchiveResult<bool> run_worker(const WorkerJob& job, const ArchiveLimits& limits, int cancel_fd, WorkerReport& report) {
    auto report_pipe = make_pipe();
    auto output_pipe = job.output ? make_pipe() : Pipe{};
    if (!report_pipe || !output_pipe) return cannot_start();
    auto child = start(job, limits, report_pipe->write_end, output_pipe->write_end);
    if (!child) return fail(child.error());
    report_pipe->write_end.reset();
    output_pipe->write_end.reset();
    const auto heard = listen(job, limits, cancel_fd, report, report_pipe->read_end, output_pipe->read_end);
    if (!heard) {
        child->kill();
        child->reap();
        return report.error() ? reported(report) : fail(heard.error());
    }
    if (!report.is_done() && !report.error()) {
        if (!child->ends()) child->kill();
        return cause_of_death(child->reap());
    }
    child->kill();
    child->reap();
    if (report.error()) return reported(report);
    return true;
}

std::string write_limits(const ArchiveLimits& limits) {
    return fmt::format("{},{},{},{},{},{},{},{},{},{},{},{},{}", limits.entries, limits.bytes, limits.stream_bytes,
                       limits.ratio, limits.ratio_from, limits.path_bytes, limits.name_bytes, limits.depth,
                       limits.xattr_bytes, limits.links, limits.memory, limits.cpu_time.count(), limits.time.count());
}

ArchiveLimits read_limits(std::string_view text) {
    ArchiveLimits limits;
    std::array<std::uint64_t, 13> numbers{};
    const std::string owned{text};
    char* at = const_cast<char*>(owned.c_str());
    for (std::uint64_t& number : numbers) {
        number = std::strtoull(at, &at, 10);
        if (*at == ',') ++at;
    }
    limits.entries = numbers[0];
    limits.bytes = numbers[1];
    limits.stream_bytes = numbers[2];
    limits.ratio = static_cast<std::uint32_t>(numbers[3]);
    limits.ratio_from = numbers[4];
    limits.path_bytes = static_cast<std::uint32_t>(numbers[5]);
    limits.name_bytes = static_cast<std::uint32_t>(numbers[6]);
    limits.depth = static_cast<std::uint32_t>(numbers[7]);
    limits.xattr_bytes = numbers[8];
    limits.links = static_cast<std::uint32_t>(numbers[9]);
    limits.memory = numbers[10];
    limits.cpu_time = std::chrono::seconds{numbers[11]};
    limits.time = std::chrono::seconds{numbers[12]};
    return limits;
}

}  // namespace brokerd
