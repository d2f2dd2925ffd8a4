#include "daemon/proxy/idle_pool.h"

#include <algorithm>
#include <utility>

namespace brokerd {

IdlePool::IdlePool(ThreadContext& context, std::function<void(const std::shared_ptr<const Target>&)> on_end)
    : context_{context}, on_end_{std::move(on_end)} {}

std::shared_ptr<Upstream> IdlePool::take() {
    while (!idle_.empty()) {
        std::shared_ptr<Upstream> upstream = std::move(idle_.back());
        idle_.pop_back();
        never_taken_ = std::min(never_taken_, idle_.size());
        if (!upstream->is_stale()) return upstream;
        drop(context_, upstream);
    }
    return nullptr;
}

void IdlePool::put(std::shared_ptr<Upstream> upstream) {
    if (idle_.size() >= kMaxIdle) return drop(context_, upstream);
    upstream->park(*this);
    idle_.push_back(std::move(upstream));
    if (idle_.size() > 1 && !is_linked()) {
        never_taken_ = 0;
        context_.deadlines.set(*this, kPeriod);
    }
}

void IdlePool::clear() {
    for (auto& upstream : idle_) drop(context_, upstream);
    idle_.clear();
    never_taken_ = 0;
}

void IdlePool::on_idle_end(Upstream& ended) {
    const auto found = std::find_if(idle_.begin(), idle_.end(), [&](const auto& idle) { return idle.get() == &ended; });
    if (found == idle_.end()) return;
    const auto target = ended.target();
    drop(context_, *found);
    idle_.erase(found);
    never_taken_ = std::min(never_taken_, idle_.size());
    on_end_(target);
}

void IdlePool::on_deadline() {
    const std::size_t superfluous = std::min(never_taken_, idle_.size() - std::min<std::size_t>(idle_.size(), 1));
    for (std::size_t i = 0; i < superfluous; ++i) drop(context_, idle_[i]);
    idle_.erase(idle_.begin(), idle_.begin() + static_cast<std::ptrdiff_t>(superfluous));
    never_taken_ = idle_.size();
    if (idle_.size() > 1) context_.deadlines.set(*this, kPeriod);
}

}  // namespace brokerd
