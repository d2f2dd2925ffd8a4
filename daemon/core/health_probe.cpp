#include "daemon/core/health_probe.h"

#include <fmt/format.h>

#include <utility>

#include "common/manifest.h"
#include "common/plugin_name.h"

namespace brokerd {
namespace {

/// Why this is no healthy plugin's answer; empty: it is one.
std::string problem_of(const HandshakeReply& reply) {
    if (reply.kind != HandshakeReply::Kind::answered) return reply.reason;
    if (reply.status != 200) {
        return fmt::format("it answered with status {} instead of 200{}{}", reply.status,
                           reply.body.empty() ? "" : ": ", escaped(reply.body, 120));
    }
    const auto manifest = Manifest::parse(reply.body);
    return manifest ? std::string{} : manifest.error().message;
}

}  // namespace

HealthProbe::HealthProbe(Scheduler& scheduler, PluginTransport& transport, HealthSettings settings, Changed changed)
    : scheduler_{scheduler}, transport_{transport}, settings_{settings}, changed_{std::move(changed)} {}

void HealthProbe::start() {
    if (std::exchange(started_, true)) return;
    healthy_ = true;
    failures_ = 0;
    reason_.clear();
    plan();
}

void HealthProbe::stop() {
    started_ = false;
    timer_.reset();
    call_.reset();
}

void HealthProbe::set_interval(std::chrono::milliseconds interval) {
    if (std::exchange(settings_.interval, interval) == interval || !started_) return;
    if (!call_) plan();
    if (interval > std::chrono::milliseconds{0}) return;
    call_.reset();
    failures_ = 0;
    reason_.clear();
    become(true);
}

void HealthProbe::plan() {
    timer_.reset();
    if (settings_.interval == std::chrono::milliseconds{0}) return;
    timer_ = scheduler_.after(settings_.interval, [this] { probe(); });
}

void HealthProbe::probe() {
    timer_.reset();
    call_ = transport_.handshake(settings_.limit, [this](const HandshakeReply& reply) { on_reply(reply); });
}

void HealthProbe::on_reply(const HandshakeReply& reply) {
    const auto ended = std::move(call_);
    plan();
    const std::string problem = problem_of(reply);
    failures_ = problem.empty() ? 0 : failures_ + 1;
    const bool healthy = problem.empty() || (healthy_ && failures_ < settings_.failures);
    reason_ =
        healthy ? std::string{} : fmt::format("it has not answered {} handshakes in a row: {}", failures_, problem);
    become(healthy);
}

void HealthProbe::become(bool healthy) {
    if (std::exchange(healthy_, healthy) == healthy) return;
    // Copies: whoever is told may destroy this.
    const Changed changed = changed_;
    const std::string reason = reason_;
    changed(healthy, reason);
}

}  // namespace brokerd
