#pragma once

#include <systemd/sd-event.h>

#include <functional>
#include <initializer_list>
#include <vector>

#include "daemon/loop/core_loop.h"

namespace brokerd {

/// Blocks signals for this thread and for all that it starts later: construct it before any other thread exists.
class BlockedSignals {
public:
    BlockedSignals(std::initializer_list<int> signals);

    [[nodiscard]] const std::vector<int>& signals() const noexcept { return signals_; }

private:
    std::vector<int> signals_;
};

/// Turns blocked signals into calls on the core loop. Thread: the core loop's.
class SignalWatch {
public:
    SignalWatch(CoreLoop& loop, const BlockedSignals& blocked, std::function<void(int signal)> on_signal);
    ~SignalWatch();
    SignalWatch(const SignalWatch&) = delete;
    SignalWatch& operator=(const SignalWatch&) = delete;

private:
    static int dispatch(sd_event_source* source, const struct signalfd_siginfo* info, void* self) noexcept;

    CoreLoop& loop_;
    std::function<void(int)> on_signal_;
    std::vector<sd_event_source*> sources_;
};

}  // namespace brokerd
