#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "daemon/activation/activation.h"
#include "daemon/loop/scheduler.h"

namespace brokerd {

struct HealthSettings {
    std::chrono::milliseconds interval{30'000};  ///< from the end of one probe to the next; 0: none
    std::chrono::milliseconds limit{10'000};     ///< for the answer
    unsigned failures = 3;                       ///< in a row make the plugin unhealthy; one success makes it healthy
};

/// Asks one running plugin from time to time whether it still answers its handshake. What it finds is for people, and
/// for whoever restarts the unhealthy; calls are routed as before. Thread: the core loop's. The scheduler and the
/// transport outlive it. Destroying it ends the probe under way.
class HealthProbe {
public:
    /// Told of each change, with the reason of an unhealthy one. May stop or destroy the probe.
    using Changed = std::function<void(bool healthy, const std::string& reason)>;

    /// `transport`: not the one that an Activation uses at the same time.
    HealthProbe(Scheduler& scheduler, PluginTransport& transport, HealthSettings settings, Changed changed);

    /// The plugin has become active: it is healthy, and asked for the first time after an interval. Nothing where this
    /// has been said already.
    void start();
    /// It does not run any more, or is not active: nothing is asked until start(), and nobody is told.
    void stop();

    /// Another interval from now on. Without probes (0) the plugin counts as healthy, of which `Changed` is told.
    void set_interval(std::chrono::milliseconds interval);

    [[nodiscard]] bool healthy() const noexcept { return healthy_; }
    /// Why it is not healthy; of the newest failure.
    [[nodiscard]] const std::string& reason() const noexcept { return reason_; }

private:
    void plan();
    void probe();
    void on_reply(const HandshakeReply& reply);
    void become(bool healthy);

    Scheduler& scheduler_;
    PluginTransport& transport_;
    HealthSettings settings_;
    const Changed changed_;
    bool started_ = false;
    bool healthy_ = true;
    unsigned failures_ = 0;  ///< in a row
    std::string reason_;
    std::unique_ptr<Scheduler::Timer> timer_;
    std::unique_ptr<PluginTransport::Call> call_;
};

}  // namespace brokerd
