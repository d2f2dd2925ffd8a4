#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "daemon/proxy/upstream.h"

namespace brokerd {

/// The idle connections to one plugin, on one proxy thread. The one used last is taken first, so that the others can be
/// seen to be superfluous: those that were not needed for kPeriod are closed, but for one, whose end tells of a plugin
/// that restarts. Thread: that proxy thread's.
class IdlePool final : public IdleKeeper, public Deadline {
public:
    /// Ours: connections kept at most; as many calls at once find one.
    static constexpr std::size_t kMaxIdle = 1024;
    /// Ours.
    static constexpr std::chrono::seconds kPeriod{10};

    /// `on_end` is told when the plugin has closed one.
    IdlePool(ThreadContext& context, std::function<void(const std::shared_ptr<const Target>&)> on_end);
    ~IdlePool() override { clear(); }

    /// A connection that can be used, or null.
    [[nodiscard]] std::shared_ptr<Upstream> take();
    [[nodiscard]] std::size_t size() const noexcept { return idle_.size(); }
    void put(std::shared_ptr<Upstream> upstream);
    void clear();

    void on_idle_end(Upstream& ended) override;
    void on_deadline() override;

private:
    ThreadContext& context_;
    const std::function<void(const std::shared_ptr<const Target>&)> on_end_;
    std::vector<std::shared_ptr<Upstream>> idle_;  ///< used last at the back
    std::size_t never_taken_ = 0;                  ///< at the front, in the present period
};

}  // namespace brokerd
