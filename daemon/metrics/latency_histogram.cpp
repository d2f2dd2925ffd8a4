#include "daemon/metrics/latency_histogram.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace brokerd {

using latency_buckets::floor_of;
using latency_buckets::kBuckets;

void LatencyHistogram::merge(const LatencyHistogram& other) noexcept {
    for (std::size_t i = 0; i < kBuckets; ++i) buckets_[i] += other.buckets_[i];
    for (std::size_t i = 0; i < between_.size(); ++i) between_[i] += other.between_[i];
    sum_ += other.sum_;
    max_ = std::max(max_, other.max_);
}

std::uint64_t LatencyHistogram::count() const noexcept {
    return std::accumulate(between_.begin(), between_.end(), std::uint64_t{0});
}

LatencyHistogram::Nanoseconds LatencyHistogram::quantile(double q) const noexcept {
    const std::uint64_t all = count();
    if (all == 0) return {};
    const double wanted = std::ceil(std::clamp(q, 0.0, 1.0) * static_cast<double>(all));
    const std::uint64_t rank = std::clamp<std::uint64_t>(static_cast<std::uint64_t>(wanted), 1, all);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < kBuckets; ++i) {
        seen += buckets_[i];
        if (seen < rank) continue;
        // The middle of the bucket is at most half its width from any value in it; the last one has no end.
        const std::uint64_t middle = i + 1 < kBuckets ? (floor_of(i) + floor_of(i + 1)) / 2 : floor_of(i);
        return Nanoseconds{std::min(middle, max_)};
    }
    return max();
}

}  // namespace brokerd
