#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/endpoint.h"
#include "daemon/activation/activation.h"
#include "daemon/loop/scheduler.h"
#include "daemon/loop/workers.h"
#include "daemon/proxy/proxy.h"

namespace brokerd {

/// Carries the handshakes of one plugin: makes its endpoint ready (names, certificates) and lets the data plane ask.
/// Thread: the core loop's. Everything it is given outlives it.
class EndpointTransport final : public PluginTransport {
public:
    /// `declared`: what a managed plugin's config says that it implements. Docker never asks a managed plugin for its
    /// manifest, so some have none: one that does not know the call (status 404) implements what it declares.
    EndpointTransport(const Scheduler& clock, Workers& workers, Proxy& proxy, std::uint64_t id, Endpoint endpoint,
                      std::vector<std::string> declared = {})
        : clock_{clock},
          workers_{workers},
          proxy_{proxy},
          id_{id},
          endpoint_{std::move(endpoint)},
          declared_{std::move(declared)} {}

    [[nodiscard]] std::unique_ptr<Call> handshake(std::chrono::milliseconds limit,
                                                  std::function<void(HandshakeReply)> done) override;

    /// What the newest handshake was made with; null before the first.
    [[nodiscard]] const std::shared_ptr<const Target>& target() const noexcept { return target_; }

private:
    class PendingHandshake;

    [[nodiscard]] bool target_is_fresh() const;

    const Scheduler& clock_;
    Workers& workers_;
    Proxy& proxy_;
    const std::uint64_t id_;
    const Endpoint endpoint_;
    const std::vector<std::string> declared_;
    std::shared_ptr<const Target> target_;
    Scheduler::Clock::time_point prepared_at_{};
    bool last_answered_ = false;
    bool last_refused_ = false;
};

}  // namespace brokerd
