#include "daemon/shim/runtime_start.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <vector>

#include "common/os/pipe.h"
#include "common/os/system_error.h"
#include "daemon/shim/child_signals.h"
#include "daemon/shim/last_words.h"
#include "daemon/shim/runtime_failure.h"

namespace brokerd {
namespace {

constexpr std::size_t kMaxWords = std::size_t{64} << 10;

/// The plugin's end waits, as every program expects of its output; ours is read until there is nothing more.
std::optional<Pipe> make_output_pipe() {
    auto pipe = make_pipe();
    if (!pipe || fcntl(pipe->read_end.get(), F_SETFL, O_NONBLOCK) != 0) return std::nullopt;
    return pipe;
}

std::vector<std::string> run_command(const ShimOrder& order) {
    std::vector<std::string> command{order.runtime};
    if (order.systemd_cgroup) command.emplace_back("--systemd-cgroup");
    const auto in_bundle = [&](std::string_view file) { return order.bundle + '/' + std::string{file}; };
    command.insert(command.end(), {"--root", order.runtime_root, "--log", in_bundle(bundle_files::kRuntimeLog),
                                   "--log-format", "json", "run", "--detach", "--bundle", order.bundle, "--pid-file",
                                   in_bundle(bundle_files::kPid), order.id});
    return command;
}

/// Only what an OCI runtime needs: NOTIFY_SOCKET and LISTEN_FDS, above all, it would hand on to the plugin.
std::vector<std::string> runtime_environment() {
    std::vector<std::string> environment;
    for (const char* const name : {"PATH", "DBUS_SYSTEM_BUS_ADDRESS", "XDG_RUNTIME_DIR"}) {
        const char* const value = getenv(name);  // NOLINT(concurrency-mt-unsafe): the shim has one thread
        if (value != nullptr) environment.push_back(std::string{name} + '=' + value);
    }
    if (environment.empty() || !environment.front().starts_with("PATH=")) {
        environment.emplace_back("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    }
    return environment;
}

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
    pointers.push_back(nullptr);
    return pointers;
}

/// The pid, or -1 with errno. Standard input is inherited.
pid_t spawn(const std::vector<std::string>& command, int output, int errors) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
    const std::vector<std::string> environment = runtime_environment();
    pid_t pid = -1;
    const int problem = posix_spawnp(&pid, command[0].c_str(), &actions, &attributes, pointers_to(command).data(),
                                     pointers_to(environment).data());
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    errno = problem;
    return problem == 0 ? pid : -1;
}

/// Waits for the end of the child; nothing: it has not ended in time.
std::optional<siginfo_t> wait_for(pid_t child, std::chrono::milliseconds limit) {
    const auto until = std::chrono::steady_clock::now() + limit;
    for (;;) {
        siginfo_t how{};
        if (wait_id(P_PID, static_cast<id_t>(child), how, WEXITED | WNOHANG) == 0 && how.si_pid != 0) return how;
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
        if (left.count() <= 0) return std::nullopt;
        poll_or_child({}, left);
    }
}

/// Sends SIGKILL to each child: what a failed start has left. They cannot have been reaped, so the numbers are theirs.
void kill_children() {
    const std::string own = std::to_string(getpid());
    const UniqueFd list{open(("/proc/self/task/" + own + "/children").c_str(), O_RDONLY | O_CLOEXEC)};
    char text[4096];
    const ssize_t got = list ? read(list.get(), text, sizeof text - 1) : 0;
    if (got <= 0) return;
    text[got] = '\0';
    char* at = text;
    for (;;) {
        char* end = at;
        const long pid = std::strtol(at, &end, 10);
        if (end == at || pid <= 0) return;
        kill(static_cast<pid_t>(pid), SIGKILL);
        at = end;
    }
}

/// The last bytes of a file or pipe, at most kMaxWords.
std::string end_of(int file) {
    std::string text(kMaxWords, '\0');
    struct stat what {};
    if (fstat(file, &what) == 0 && S_ISREG(what.st_mode) && what.st_size > static_cast<off_t>(kMaxWords)) {
        lseek(file, what.st_size - static_cast<off_t>(kMaxWords), SEEK_SET);
    }
    std::size_t size = 0;
    while (size < text.size()) {
        const ssize_t got = read(file, text.data() + size, text.size() - size);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        size += static_cast<std::size_t>(got);
    }
    text.resize(size);
    return text;
}

/// Empty: it cannot be opened, and errno tells why.
std::string end_of_file(int directory, std::string_view name) {
    const UniqueFd file{openat(directory, name.data(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
    if (!file) return {};
    errno = 0;
    return end_of(file.get());
}

std::string name_of(const ShimOrder& order) {
    return order.runtime.substr(order.runtime.rfind('/') + 1);
}

/// Which of our children the runtime left as the plugin's first process.
Result<ProcessIdentity> started_process(const ShimOrder& order, int bundle) {
    const std::string text = end_of_file(bundle, bundle_files::kPid);
    if (text.empty() && errno != 0 && errno != ENOENT) {
        return fail("cannot read " + order.bundle + '/' + std::string{bundle_files::kPid} + ": " + errno_text(errno));
    }
    pid_t pid = 0;
    std::from_chars(text.data(), text.data() + text.size(), pid);
    siginfo_t unused{};
    if (pid <= 1 || wait_id(P_PID, static_cast<id_t>(pid), unused, WEXITED | WNOHANG | WNOWAIT) != 0) {
        return fail(name_of(order) +
                    " says that it has started it and does not tell its process; brokerd needs an "
                    "OCI runtime whose \"run --detach --pid-file\" leaves the process to its parent");
    }
    errno = 0;
    const auto process = process_identity(pid);
    if (!process) {
        const std::string cause = errno != 0 ? ": " + errno_text(errno) : std::string{};
        return fail("cannot read /proc/" + std::to_string(pid) + "/stat" + cause);
    }
    return *process;
}

Result<ProcessIdentity> run_runtime(const ShimOrder& order, int bundle, const Pipe& output, const Pipe& errors,
                                    std::chrono::milliseconds limit) {
    const std::string name = name_of(order);
    const pid_t runtime = spawn(run_command(order), output.write_end.get(), errors.write_end.get());
    if (runtime < 0) return fail("cannot run the OCI runtime " + order.runtime + ": " + errno_text(errno));
    const auto how = wait_for(runtime, limit);
    if (!how) {
        const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(limit).count();
        return fail(name + " did not start it within " + std::to_string(seconds) + " s and was killed");
    }
    if (how->si_code == CLD_EXITED && how->si_status == 0) return started_process(order, bundle);
    const std::string end = how->si_code == CLD_EXITED ? "exited with status " + std::to_string(how->si_status)
                                                       : "was killed by signal " + std::to_string(how->si_status);
    return fail(
        runtime_failure(name, end_of_file(bundle, bundle_files::kRuntimeLog), end_of(errors.read_end.get()), end));
}

}  // namespace

Result<StartedPlugin> start_plugin(const ShimOrder& order, int bundle, std::chrono::milliseconds limit) {
    auto output = make_output_pipe();
    auto errors = make_output_pipe();
    if (!output || !errors) return fail("cannot make the pipes for its output: " + errno_text(errno));
    auto process = run_runtime(order, bundle, *output, *errors, limit);
    if (!process) {
        kill_children();
        return fail(process.error());
    }
    return StartedPlugin{*process, std::move(output->read_end), std::move(errors->read_end)};
}

}  // namespace brokerd
