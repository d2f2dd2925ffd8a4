#include "daemon/activation/activation.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/plugin_name.h"

namespace brokerd {
namespace {

using std::chrono::milliseconds;

/// Ours: pauses between checks of a plugin whose connections end while it is idle.
constexpr milliseconds kFirstSuspicionPause{100};
constexpr milliseconds kLongestSuspicionPause{60'000};
/// Ours: after its socket has appeared a plugin is about to listen on it, so ask in quick succession.
constexpr milliseconds kPokePause{2};

}  // namespace

Activation::Activation(Scheduler& scheduler, PluginTransport& transport, ActivationSettings settings, Changed changed)
    : scheduler_{scheduler},
      transport_{transport},
      settings_{settings},
      changed_{std::move(changed)},
      pause_{settings.first_pause},
      // Spreads the retries of many plugins; nothing secret depends on it.
      jitter_{static_cast<std::minstd_rand::result_type>(reinterpret_cast<std::uintptr_t>(this) >> 4U)} {}

void Activation::start() {
    if (state_ != State::discovered) return;
    open_window();
    attempt();
}

void Activation::open_window() {
    state_ = State::activating;
    window_end_ = scheduler_.now() + settings_.window;
    pause_ = settings_.first_pause;
    attempts_ = 0;
    changed_(false);
}

void Activation::poke() {
    pause_ = kPokePause;
    if (call_) {
        again_ = true;  // the handshake under way may be failing because it began before whatever has changed
        return;
    }
    if (state_ == State::discovered) return start();
    attempt();
}

void Activation::poke_replaced() {
    if (!call_) return poke();
    call_.reset();
    pause_ = kPokePause;
    attempt_after(kPokePause);
}

void Activation::report_down(const std::string& reason, bool refused) {
    if (state_ != State::active) return;
    if (refused) return became_failed(Failure::refused, reason, settings_.rejected_pause);
    became_unreachable(reason);
}

void Activation::suspect() {
    if (state_ != State::active || call_ || timer_) return;
    suspicion_pause_ = std::clamp(suspicion_pause_ * 2, kFirstSuspicionPause, kLongestSuspicionPause);
    attempt_after(suspicion_pause_);
}

void Activation::attempt() {
    timer_.reset();
    next_attempt_.reset();
    if (call_) return;
    milliseconds limit = settings_.window;
    if (state_ == State::activating) {
        limit = std::chrono::ceil<milliseconds>(window_end_ - scheduler_.now());
        if (limit <= milliseconds{0}) {
            return became_failed(Failure::unreachable, reason_.empty() ? "it was not tried in time" : reason_,
                                 settings_.probe_pause);
        }
    }
    ++attempts_;
    again_ = false;
    call_ = transport_.handshake(limit, [this](HandshakeReply reply) { on_reply(std::move(reply)); });
}

void Activation::on_reply(HandshakeReply reply) {
    const auto ended = std::move(call_);
    switch (reply.kind) {
        case HandshakeReply::Kind::unreachable:
            return became_unreachable(reply.reason);
        case HandshakeReply::Kind::refused:
            return became_failed(Failure::refused, reply.reason, settings_.rejected_pause);
        case HandshakeReply::Kind::malformed:
            return became_failed(Failure::rejected, reply.reason, settings_.rejected_pause);
        case HandshakeReply::Kind::answered:
            break;
    }
    if (reply.status != 200) {
        return became_failed(Failure::rejected,
                             fmt::format("it answered the handshake with status {} instead of 200{}{}", reply.status,
                                         reply.body.empty() ? "" : ": ", escaped(reply.body, 120)),
                             settings_.rejected_pause);
    }
    auto manifest = Manifest::parse(reply.body);
    if (!manifest) return became_failed(Failure::rejected, manifest.error().message, settings_.rejected_pause);
    became_active(*std::move(manifest));
}

void Activation::became_active(Manifest manifest) {
    const bool manifest_changed = manifest_ && *manifest_ != manifest;
    const bool news = state_ != State::active || manifest_changed;
    if (news) suspicion_pause_ = milliseconds{0};
    manifest_ = std::move(manifest);
    state_ = State::active;
    failure_ = Failure::none;
    reason_.clear();
    attempts_ = 0;
    pause_ = settings_.first_pause;
    if (again_) attempt_after(kPokePause);
    changed_(manifest_changed);
}

void Activation::became_unreachable(const std::string& reason) {
    reason_ = reason;
    if (state_ == State::failed) {
        failure_ = Failure::unreachable;
        attempt_after(again_ ? kPokePause : settings_.probe_pause);
        return changed_(false);
    }
    const bool was_active = state_ != State::activating;
    if (was_active) {
        state_ = State::activating;
        window_end_ = scheduler_.now() + settings_.window;
        pause_ = settings_.first_pause;
        attempts_ = 0;
    }
    failure_ = Failure::unreachable;
    const auto left = std::chrono::ceil<milliseconds>(window_end_ - scheduler_.now());
    if (left <= milliseconds{0}) return became_failed(Failure::unreachable, reason, settings_.probe_pause);
    attempt_after(std::min(left, again_ ? kPokePause : next_pause()));
    changed_(false);
}

void Activation::became_failed(Failure failure, const std::string& reason, milliseconds pause) {
    state_ = State::failed;
    failure_ = failure;
    reason_ = reason;
    attempt_after(again_ ? kPokePause : pause);
    changed_(false);
}

void Activation::attempt_after(milliseconds pause) {
    next_attempt_ = scheduler_.now() + pause;
    timer_ = scheduler_.after(pause, [this] { attempt(); });
}

/// Doubles; each pause is shortened by up to a quarter so that plugins do not retry in step.
milliseconds Activation::next_pause() {
    const milliseconds pause = pause_;
    pause_ = std::min(pause_ * 2, settings_.longest_pause);
    const auto quarter = std::max<milliseconds::rep>(pause.count() / 4, 1);
    return pause - milliseconds{static_cast<milliseconds::rep>(jitter_()) % quarter};
}

}  // namespace brokerd
