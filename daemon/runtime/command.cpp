#include "daemon/runtime/command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "common/os/system_error.h"
#include "common/os/unique_fd.h"
#include "daemon/runtime/child_process.h"
#include "daemon/runtime/spawn_plan.h"

namespace brokerd {
namespace {

using Clock = std::chrono::steady_clock;

struct Pipe {
    UniqueFd read_end;
    UniqueFd write_end;

    [[nodiscard]] bool open() {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) != 0) return false;
        read_end.reset(ends[0]);
        write_end.reset(ends[1]);
        return true;
    }
};

/// Appends what can be read; closes the pipe at its end.
void drain(UniqueFd& pipe, std::string& into) {
    std::array<char, 8192> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init): read() fills it
    const ssize_t got = read(pipe.get(), buffer.data(), buffer.size());
    if (got > 0) {
        into.append(buffer.data(), static_cast<std::size_t>(got));
    } else if (got == 0 || errno != EINTR) {
        pipe.reset();
    }
}

/// Of the output the beginning is kept, of the errors the end.
void trim(CommandOutcome& outcome) {
    if (outcome.output.size() > kMaxCommandOutput) outcome.output.resize(kMaxCommandOutput);
    if (outcome.errors.size() > kMaxCommandErrors) outcome.errors.erase(0, outcome.errors.size() - kMaxCommandErrors);
}

/// Listens until the program has ended. A child of it that lives on may keep the pipes open: nobody waits for that.
Result<bool> listen(const ChildProcess& child, Pipe& output, Pipe& errors, Clock::time_point until,
                    const Cancellation& cancellation, CommandOutcome& outcome) {
    bool ended = false;
    while (!ended) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
        if (left <= 0) return fail("did not end in time and was killed");
        std::array<pollfd, 4> fds{{{output.read_end.get(), POLLIN, 0},
                                   {errors.read_end.get(), POLLIN, 0},
                                   {child.pidfd().get(), POLLIN, 0},
                                   {cancellation.descriptor(), POLLIN, 0}}};
        if (poll(fds.data(), fds.size(), static_cast<int>(left)) < 0) continue;
        if (fds[3].revents != 0) return fail("was given up, because brokerd stops");
        ended = fds[2].revents != 0;
        if (fds[0].revents != 0) drain(output.read_end, outcome.output);
        if (fds[1].revents != 0) drain(errors.read_end, outcome.errors);
        trim(outcome);
    }
    return true;
}

/// What is in a pipe after its writer's end. A child of it may still write: no more than a pipe holds is taken.
void drain_rest(UniqueFd& pipe, std::string& into) {
    if (!pipe) return;
    fcntl(pipe.get(), F_SETFL, O_NONBLOCK);
    constexpr std::size_t kPipeBytes = std::size_t{1} << 20;
    const std::size_t most = into.size() + kPipeBytes;
    while (pipe && into.size() < most) drain(pipe, into);
}

}  // namespace

Result<CommandOutcome> run_command(const std::vector<std::string>& arguments, std::chrono::milliseconds deadline,
                                   const Cancellation& cancellation) {
    const std::string& program = arguments.front();
    Pipe output;
    Pipe errors;
    if (!output.open() || !errors.open()) return fail(fmt::format("cannot run {}: {}", program, errno_text(errno)));
    SpawnPlan plan;
    plan.lead_group();
    plan.give(output.write_end.get(), STDOUT_FILENO);
    plan.give(errors.write_end.get(), STDERR_FILENO);
    const pid_t pid = plan.spawn(arguments);
    if (pid < 0) return fail(fmt::format("cannot run {}: {}", program, errno_text(errno)));
    ChildProcess child{pid};
    if (!child.pidfd()) return fail(fmt::format("cannot follow {}: {}", program, errno_text(errno)));
    output.write_end.reset();
    errors.write_end.reset();
    CommandOutcome outcome;
    const auto heard = listen(child, output, errors, Clock::now() + deadline, cancellation, outcome);
    if (!heard) return fail(fmt::format("{} {}", program, heard.error().message));
    drain_rest(output.read_end, outcome.output);
    drain_rest(errors.read_end, outcome.errors);
    trim(outcome);
    const siginfo_t how = child.reap();
    outcome.exited = how.si_code == CLD_EXITED;
    outcome.status = how.si_status;
    return outcome;
}

}  // namespace brokerd
