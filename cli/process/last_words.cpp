#include "cli/process/last_words.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <array>
#include <csignal>

#include "common/os/system_error.h"

namespace brokerd::cli {
namespace {

constexpr std::size_t kKeptBytes = 4096;
/// Ours: a pipe has 64 KiB; a program that goes on writing must not keep us.
constexpr int kMostLastReads = 32;

Pipe pipe_or_throw() {
    auto pipe = make_pipe();
    if (!pipe) throw_errno("pipe");
    ::fcntl(pipe->read_end.get(), F_SETFL, O_NONBLOCK);
    return std::move(*pipe);
}

}  // namespace

LastWords::LastWords() : pipe_{pipe_or_throw()}, stop_{::eventfd(0, EFD_CLOEXEC)} {
    if (!stop_) throw_errno("eventfd");
    sigset_t all, before;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    reader_ = std::thread{[this] { read_on(); }};
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

LastWords::~LastWords() {
    (void)take();
}

const std::string& LastWords::take() {
    if (!reader_.joinable()) return text_;
    ::eventfd_write(stop_.get(), 1);
    reader_.join();
    return text_;
}

void LastWords::read_on() {
    std::array<pollfd, 2> polled{{{pipe_.read_end.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}}};
    while (!ended_ && polled[1].revents == 0) {
        if (::poll(polled.data(), polled.size(), -1) > 0) read_some();
    }
    for (int i = 0; i < kMostLastReads && !ended_; ++i) read_some();
}

void LastWords::read_some() {
    std::array<char, kKeptBytes> piece;
    const ssize_t count = ::read(pipe_.read_end.get(), piece.data(), piece.size());
    if (count == 0) ended_ = true;
    if (count <= 0) return;
    text_.append(piece.data(), static_cast<std::size_t>(count));
    if (text_.size() > kKeptBytes) text_.erase(0, text_.size() - kKeptBytes);
}

}  // namespace brokerd::cli
