#include "daemon/runtime/shim_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "common/os/system_error.h"
#include "daemon/runtime/child_process.h"
#include "daemon/runtime/spawn_plan.h"

namespace brokerd {
namespace {

using Clock = std::chrono::steady_clock;
using Outcome = Result<ShimStarted, ShimFailure>;

Failure<ShimFailure> refuse(std::string message) {
    return fail(ShimFailure{std::move(message), false});
}

/// Ours: how long a shim may take to end once it has closed its report.
constexpr std::chrono::seconds kEndPatience{5};

/// What the shim has written until it closed the pipe. It is our own program, but it may be an older or newer one.
Result<std::string, ShimFailure> hear_report(const UniqueFd& pipe, std::chrono::milliseconds limit,
                                             const Cancellation& cancellation) {
    const auto until = Clock::now() + limit;
    std::string text;
    while (true) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
        if (left <= 0) {
            return refuse(fmt::format("the OCI runtime did not start it within {} seconds",
                                      std::chrono::ceil<std::chrono::seconds>(limit).count()));
        }
        std::array<pollfd, 2> fds{{{pipe.get(), POLLIN, 0}, {cancellation.descriptor(), POLLIN, 0}}};
        if (poll(fds.data(), fds.size(), static_cast<int>(left)) < 0) continue;
        if (fds[0].revents != 0) {
            std::array<char, 4096> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init): read() fills it
            const ssize_t got = read(pipe.get(), buffer.data(), buffer.size());
            if (got < 0 && errno == EINTR) continue;
            if (got <= 0) return text;
            text.append(buffer.data(), static_cast<std::size_t>(got));
            if (text.size() > 2 * kMaxShimText) return refuse("brokerd-shim reports more than it should");
        } else if (fds[1].revents != 0) {
            return fail(ShimFailure{"brokerd stops", true});
        }
    }
}

/// A shim that has closed the report without a word is about to end, or hangs.
Failure<ShimFailure> silent(ChildProcess& shim) {
    pollfd end{shim.pidfd().get(), POLLIN, 0};
    if (poll(&end, 1, static_cast<int>(std::chrono::milliseconds{kEndPatience}.count())) != 1)
        return refuse("brokerd-shim says nothing about its start");
    return refuse(fmt::format("brokerd-shim {} before it could start the plugin", how_it_ended(shim.reap())));
}

Outcome await_report(ChildProcess shim, const UniqueFd& pipe, std::chrono::milliseconds limit,
                     const Cancellation& cancellation) {
    const auto text = hear_report(pipe, limit, cancellation);
    if (!text && text.error().left_alone) {
        [[maybe_unused]] const UniqueFd nobody_waits = shim.release();
        return fail(text.error());
    }
    if (!text) return fail(text.error());
    if (text->empty()) return silent(shim);
    const auto report = parse_shim_report(*text);
    if (!report) return refuse(fmt::format("brokerd-shim's report cannot be read: {}", report.error().message));
    if (!report->error.empty()) return refuse(report->error);
    return ShimStarted{shim.release(), report->plugin};
}

}  // namespace

Outcome start_shim(const std::string& program, const ShimOrder& order, const UniqueFd& lock,
                   std::chrono::milliseconds limit, const Cancellation& cancellation) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return refuse(fmt::format("cannot make a pipe: {}", errno_text(errno)));
    const UniqueFd read_end{ends[0]};
    UniqueFd write_end{ends[1]};
    SpawnPlan plan;
    plan.give(write_end.get(), kShimReportFd);
    plan.give(lock.get(), kShimLockFd);
    const pid_t pid = plan.spawn(shim_command(program, order));
    if (pid < 0) return refuse(fmt::format("cannot run {}: {}", program, errno_text(errno)));
    ChildProcess shim{pid};
    write_end.reset();
    if (!shim.pidfd()) return refuse(fmt::format("cannot follow {}: {}", program, errno_text(errno)));
    return await_report(std::move(shim), read_end, limit, cancellation);
}

}  // namespace brokerd
