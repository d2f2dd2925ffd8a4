#include "daemon/shim/plugin_watch.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "daemon/shim/child_signals.h"

namespace brokerd {
namespace {

/// Ours: what two processes that go on writing may add to the 64 KiB that a pipe holds.
constexpr std::size_t kMaxRest = std::size_t{256} << 10;

std::optional<std::chrono::milliseconds> left_until(std::optional<LogWriter::Clock::time_point> time) {
    if (!time) return std::nullopt;
    return std::chrono::ceil<std::chrono::milliseconds>(*time - LogWriter::Clock::now());
}

}  // namespace

std::size_t PluginStream::read() {
    if (!pipe_) return 0;
    const auto room = lines_.room();
    ssize_t got = -1;
    do {
        got = ::read(pipe_.get(), room.data(), room.size());
    } while (got < 0 && errno == EINTR);
    if (got > 0) {
        lines_.added(static_cast<std::size_t>(got),
                     [&](std::string_view line, bool partial) { pass_on(line, partial); });
        return static_cast<std::size_t>(got);
    }
    if (got == 0 || errno != EAGAIN) {
        pipe_.reset();
        lines_.end([&](std::string_view line, bool partial) { pass_on(line, partial); });
    }
    return 0;
}

void PluginStream::finish() {
    for (std::size_t total = 0, got = 1; got > 0 && total < kMaxRest; total += got) got = read();
    pipe_.reset();
    lines_.end([&](std::string_view line, bool partial) { pass_on(line, partial); });
}

void PluginStream::pass_on(std::string_view line, bool partial) {
    if (words_ != nullptr) words_->heard(line, partial);
    log_.line(source_, line, partial, LogWriter::Clock::now());
}

PluginWatch::PluginWatch(StartedPlugin plugin, LogOutput& output, std::string_view cgroup)
    : pid_{plugin.process.pid},
      memory_{pid_, cgroup},
      log_{output},
      output_{std::move(plugin.standard_output), LogRecord::Source::standard_output, log_, nullptr},
      errors_{std::move(plugin.standard_error), LogRecord::Source::standard_error, log_, &words_} {}

ShimExit PluginWatch::wait() {
    for (reap(); !exit_; reap()) wait_for_something();
    return finish();
}

void PluginWatch::wait_for_something() {
    std::array<pollfd, 3> fds{{{output_.fd(), POLLIN, 0}, {errors_.fd(), POLLIN, 0}, {memory_.fd(), POLLPRI, 0}}};
    poll_or_child(fds, left_until(log_.next()));
    if (fds[2].revents != 0) memory_.update();
    if (fds[0].revents != 0) (void)output_.read();
    if (fds[1].revents != 0) (void)errors_.read();
    log_.tell(LogWriter::Clock::now());
}

void PluginWatch::reap() {
    for (;;) {
        siginfo_t how{};
        if (wait_id(P_ALL, 0, how, WEXITED | WNOHANG) != 0) {
            // Without any child there is nobody left to learn from.
            if (!exit_) exit_ = ShimExit{};
            return;
        }
        if (how.si_pid == 0) return;
        if (how.si_pid != pid_) continue;  // a process of the plugin whose parent has ended before it
        const auto kind = how.si_code == CLD_EXITED ? ShimExit::Kind::exited : ShimExit::Kind::killed;
        exit_ = ShimExit{kind, how.si_status, false, {}, {}};
    }
}

ShimExit PluginWatch::finish() {
    memory_.update();
    output_.finish();
    errors_.finish();
    log_.finish(LogWriter::Clock::now());
    exit_->out_of_memory = memory_.killed() && exit_->kind == ShimExit::Kind::killed && exit_->status == SIGKILL;
    exit_->last_words = words_.str();
    exit_->at = std::chrono::system_clock::now();
    return *exit_;
}

}  // namespace brokerd
