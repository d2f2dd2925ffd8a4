#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <memory>
#include <span>
#include <string>

#include "common/os/system_error.h"
#include "daemon/shim/child_signals.h"
#include "daemon/shim/file_output.h"
#include "daemon/shim/journal_output.h"
#include "daemon/shim/plugin_watch.h"
#include "daemon/shim/runtime_start.h"
#include "daemon/shim/shim_files.h"
#include "daemon/shim/shim_order.h"

/// brokerd-shim: what stays with a managed plugin while brokerd comes and goes. brokerd could be the plugins' parent
/// itself, but then their output and the way they end would be lost with it, at each upgrade. So one of these, small
/// and seldom changed, stands between: it starts the plugin through the OCI runtime, adopts its processes (it is their
/// subreaper), keeps what they write, and leaves a note of how the first of them ended. It talks to brokerd through
/// files only (shim_files.h), once it has reported the start.
namespace brokerd {
namespace {

constexpr int kUsage = 2;

void write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t put = write(fd, text.data(), text.size());
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return;  // nobody listens any more
        text.remove_prefix(static_cast<std::size_t>(put));
    }
}

int report_failure(UniqueFd report, std::string error) {
    write_all(report.get(), to_json(ShimReport{{}, std::move(error)}) + '\n');
    return EXIT_FAILURE;
}

/// Whoever stops brokerd, or a terminal, must not stop the plugins' output with it.
void arrange_signals() {
    for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
    for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2}) {
        signal(number, SIG_IGN);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    notice_children();
}

/// Whether the two descriptors are there that brokerd means to hand over.
bool take_descriptors() {
    return fcntl(kShimReportFd, F_SETFD, FD_CLOEXEC) == 0 && fcntl(kShimLockFd, F_SETFD, FD_CLOEXEC) == 0;
}

/// Nothing else of brokerd's is kept. False, with errno: /dev/null cannot be opened.
bool arrange_descriptors() {
    close_range(kShimLockFd + 1, ~0U, 0);
    const int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd <= STDERR_FILENO && null >= 0; ++fd) dup2(null, fd);
    if (null > STDERR_FILENO) close(null);
    return null >= 0;
}

/// The kernel ends plugins before the shims that tell of their ends. Where that may not be asked for, all is as it was.
void ask_to_be_spared() {
    const UniqueFd file{open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC)};
    if (file) write_all(file.get(), "-500");
}

void arrange_process() {
    setsid();
    umask(077);
    prctl(PR_SET_NAME, "brokerd-shim");
    ask_to_be_spared();
    (void)!chdir("/");
}

std::unique_ptr<LogOutput> log_of(const ShimOrder& order) {
    if (order.log_directory.empty()) return std::make_unique<JournalOutput>(order.id, order.name);
    return std::make_unique<FileOutput>(order.log_directory);
}

int run(const ShimOrder& order, UniqueFd report) {
    const UniqueFd bundle{open(order.bundle.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!bundle) {
        return report_failure(std::move(report), "cannot open the bundle " + order.bundle + ": " + errno_text(errno));
    }
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
        return report_failure(std::move(report), "cannot become the parent of its processes: " + errno_text(errno));
    }
    auto plugin = start_plugin(order, bundle.get(), kShimStartLimit);
    if (!plugin) return report_failure(std::move(report), plugin.error().message);

    const ProcessIdentity process = plugin->process;
    const auto self = process_identity(getpid()).value_or(ProcessIdentity{});
    const ShimRunning running{process, self, std::chrono::system_clock::now()};
    if (!write_bundle_file(bundle.get(), bundle_files::kRunning, to_json(running))) {
        const int cause = errno;
        kill(process.pid, SIGKILL);  // our child, not reaped: the number is its
        return report_failure(std::move(report),
                              "cannot write to the bundle " + order.bundle + ": " + errno_text(cause));
    }
    write_all(report.get(), to_json(ShimReport{process, {}}) + '\n');
    report.reset();

    const std::unique_ptr<LogOutput> log = log_of(order);
    const ShimExit exit = PluginWatch{*std::move(plugin), *log, cgroup_of(order)}.wait();
    return write_bundle_file(bundle.get(), bundle_files::kExit, to_json(exit)) ? EXIT_SUCCESS : EXIT_FAILURE;
}

int start(int argc, char** argv) {
    arrange_signals();
    const auto order = parse_shim_command(std::span{argv, static_cast<std::size_t>(argc)}.subspan(argc > 0 ? 1 : 0));
    if (!order || !take_descriptors()) {
        // Whoever calls it by hand reads this.
        write_all(STDERR_FILENO, (order ? "brokerd-shim is started by brokerd only" : order.error().message) + '\n');
        return kUsage;
    }
    if (!arrange_descriptors()) {
        return report_failure(UniqueFd{kShimReportFd}, "brokerd-shim cannot open /dev/null: " + errno_text(errno));
    }
    arrange_process();
    return run(*order, UniqueFd{kShimReportFd});
}

}  // namespace
}  // namespace brokerd

int main(int argc, char** argv) try { return brokerd::start(argc, argv); } catch (...) {
    return EXIT_FAILURE;  // no memory: brokerd sees that the lock is free and nothing has been noted
}
