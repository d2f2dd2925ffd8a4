#include "daemon/loop/signal_watch.h"

#include <signal.h>
#include <sys/signalfd.h>

#include <system_error>

namespace brokerd {

BlockedSignals::BlockedSignals(std::initializer_list<int> signals) : signals_{signals} {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : signals_) sigaddset(&set, signal);
    const int code = pthread_sigmask(SIG_BLOCK, &set, nullptr);
    if (code != 0) throw std::system_error{code, std::generic_category(), "pthread_sigmask"};
}

SignalWatch::SignalWatch(CoreLoop& loop, const BlockedSignals& blocked, std::function<void(int)> on_signal)
    : loop_{loop}, on_signal_{std::move(on_signal)} {
    for (const int signal : blocked.signals()) {
        sd_event_source* source = nullptr;
        const int code = sd_event_add_signal(loop.handle(), &source, signal, &SignalWatch::dispatch, this);
        if (code < 0) throw std::system_error{-code, std::generic_category(), "sd_event_add_signal"};
        sources_.push_back(source);
    }
}

SignalWatch::~SignalWatch() {
    for (sd_event_source* source : sources_) sd_event_source_disable_unref(source);
}

int SignalWatch::dispatch(sd_event_source*, const signalfd_siginfo* info, void* self) noexcept {
    auto& watch = *static_cast<SignalWatch*>(self);
    try {
        watch.on_signal_(static_cast<int>(info->ssi_signo));
    } catch (...) {
        watch.loop_.report(std::current_exception());
    }
    return 0;
}

}  // namespace brokerd
