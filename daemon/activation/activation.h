#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>

#include "common/manifest.h"
#include "daemon/loop/scheduler.h"

namespace brokerd {

/// How one handshake with a plugin ended, as activation needs to know it.
struct HandshakeReply {
    enum class Kind : std::uint8_t {
        answered,     ///< the plugin answered, with `status` and `body`
        unreachable,  ///< it may come up later: `reason`
        refused,      ///< trying again within seconds will not help (TLS, certificates): `reason`
        malformed,    ///< it answered something that is not HTTP: `reason`
    };
    Kind kind = Kind::unreachable;
    unsigned status = 0;
    std::string body;
    std::string reason;
};

/// Performs one POST /Plugin.Activate within `limit`. Destroying what it returns cancels the call.
class PluginTransport {
public:
    class Call {
    public:
        virtual ~Call() = default;
    };
    virtual ~PluginTransport() = default;
    /// `done` is called once, on the core loop, not before this returns, unless the call is cancelled.
    [[nodiscard]] virtual std::unique_ptr<Call> handshake(std::chrono::milliseconds limit,
                                                          std::function<void(HandshakeReply)> done) = 0;
};

struct ActivationSettings {
    /// Docker Plugin API, "Plugin retries": activation is tried for up to 30 s.
    std::chrono::milliseconds window{30'000};
    /// DESIGN.md section 6: pauses double between these two.
    std::chrono::milliseconds first_pause{25};
    std::chrono::milliseconds longest_pause{1'000};
    /// After the window: the background probe that decides when the plugin is up again.
    std::chrono::milliseconds probe_pause{2'000};
    /// The same for a plugin that answers, but not as a plugin.
    std::chrono::milliseconds rejected_pause{10'000};
};

/// One plugin's way to "active", and back: the state machine of DESIGN.md section 6.
///
/// At most one handshake is under way at any time; whoever asks meanwhile gets that one's outcome. While the plugin is
/// down, one probe in the background goes on for ever, so that it returns by itself.
/// Thread: the core loop's. The scheduler and the transport outlive it.
class Activation {
public:
    enum class State : std::uint8_t {
        discovered,  ///< lazy, and nobody has asked yet
        activating,  ///< within the window: requests wait
        active,
        failed,  ///< the window is over, or the plugin's answer was rejected: requests fail at once
    };
    enum class Failure : std::uint8_t { none, unreachable, refused, rejected };
    /// Called after every handshake and every change of state. `manifest_changed`: the plugin now implements something
    /// else than when it was last active. Must not destroy the activation.
    using Changed = std::function<void(bool manifest_changed)>;

    Activation(Scheduler& scheduler, PluginTransport& transport, ActivationSettings settings, Changed changed);

    /// How long the next windows are; one that is open stays as it is.
    void set_window(std::chrono::milliseconds window) noexcept { settings_.window = window; }
    /// Opens the window and tries; does nothing unless discovered.
    void start();
    /// Something suggests that it is worth trying now: its socket has appeared, an operator asks.
    void poke();
    /// Another socket stands in the place of the old one: a handshake that is under way asks a process of the past.
    void poke_replaced();
    /// A call could not connect, for this reason: the window opens again. `refused` as in HandshakeReply.
    void report_down(const std::string& reason, bool refused);
    /// The plugin may have been restarted: asks for its manifest again soon, but the more rarely the more often that
    /// turns out to be a false alarm (a plugin may close idle connections every few seconds).
    void suspect();

    [[nodiscard]] State state() const noexcept { return state_; }
    [[nodiscard]] Failure failure() const noexcept { return failure_; }
    /// Why it is not active; empty where it is.
    [[nodiscard]] const std::string& reason() const noexcept { return reason_; }
    /// The newest manifest; empty before the first activation.
    [[nodiscard]] const std::optional<Manifest>& manifest() const noexcept { return manifest_; }
    /// Handshakes tried since the plugin was last active.
    [[nodiscard]] unsigned attempts() const noexcept { return attempts_; }
    /// When the next handshake is due; nothing while one is under way or none is planned.
    [[nodiscard]] std::optional<Scheduler::Clock::time_point> next_attempt() const noexcept { return next_attempt_; }
    [[nodiscard]] bool handshake_under_way() const noexcept { return call_ != nullptr; }

private:
    void open_window();
    void attempt();
    void on_reply(HandshakeReply reply);
    void became_active(Manifest manifest);
    void became_unreachable(const std::string& reason);
    void became_failed(Failure failure, const std::string& reason, std::chrono::milliseconds pause);
    void attempt_after(std::chrono::milliseconds pause);
    [[nodiscard]] std::chrono::milliseconds next_pause();

    Scheduler& scheduler_;
    PluginTransport& transport_;
    ActivationSettings settings_;
    const Changed changed_;
    State state_ = State::discovered;
    Failure failure_ = Failure::none;
    std::string reason_;
    std::optional<Manifest> manifest_;
    unsigned attempts_ = 0;
    Scheduler::Clock::time_point window_end_{};
    std::chrono::milliseconds pause_;
    std::chrono::milliseconds suspicion_pause_{0};
    bool again_ = false;  ///< asked for while a handshake was under way that may have begun too early
    std::optional<Scheduler::Clock::time_point> next_attempt_;
    std::unique_ptr<Scheduler::Timer> timer_;
    std::unique_ptr<PluginTransport::Call> call_;
    std::minstd_rand jitter_;
};

}  // namespace brokerd
