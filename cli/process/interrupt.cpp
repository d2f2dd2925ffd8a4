#include "cli/process/interrupt.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <utility>

namespace brokerd::cli {

Interrupt::Interrupt() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &signals, &before_);
    fd_.reset(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!fd_) release();
}

Interrupt::~Interrupt() {
    release();
}

void Interrupt::release() noexcept {
    if (std::exchange(holds_, false)) ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

std::optional<ExitStatus> Interrupt::take() {
    signalfd_siginfo info{};
    if (::read(fd_.get(), &info, sizeof info) != sizeof info) return std::nullopt;
    return info.ssi_signo == SIGTERM ? ExitStatus::terminated : ExitStatus::interrupted;
}

}  // namespace brokerd::cli
