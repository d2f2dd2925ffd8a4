#pragma once

#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace brokerd {

/// Where a duration is counted.
namespace latency_buckets {

/// The unit is 64 ns: what is shorter than eight units stands in linear buckets, and nothing here is that fast.
inline constexpr unsigned kUnitBits = 6;
inline constexpr unsigned kStepBits = 3;
inline constexpr unsigned kTopBits = 33;  ///< 2^33 units are 550 s
inline constexpr std::size_t kBuckets = (kTopBits - kStepBits + 1) << kStepBits;

[[nodiscard]] constexpr std::size_t bucket_of(std::uint64_t nanoseconds) noexcept {
    const std::uint64_t units = nanoseconds >> kUnitBits;
    if (units < (1u << kStepBits)) return units;
    const auto shift = static_cast<unsigned>(std::bit_width(units)) - 1 - kStepBits;
    const std::size_t bucket = (static_cast<std::size_t>(shift) << kStepBits) + (units >> shift);
    return bucket < kBuckets ? bucket : kBuckets - 1;
}
/// The smallest number of nanoseconds in `bucket`.
[[nodiscard]] constexpr std::uint64_t floor_of(std::size_t bucket) noexcept {
    if (bucket < (1u << kStepBits)) return std::uint64_t{bucket} << kUnitBits;
    const unsigned shift = static_cast<unsigned>(bucket >> kStepBits) - 1;
    return std::uint64_t{bucket - (std::size_t{shift} << kStepBits)} << (shift + kUnitBits);
}

}  // namespace latency_buckets

/// How long things took, in a fixed amount of memory. Counted twice: in log-linear buckets, eight to each power of two,
/// from which quantiles come with a relative error of at most 1/16; and between the round bounds that Prometheus
/// shows, exactly. Durations beyond the last bucket (9 minutes) count as that long; sum() and max() are exact.
/// Thread: its owner's.
class LatencyHistogram {
public:
    using Nanoseconds = std::chrono::nanoseconds;

    /// Upper bounds, inclusive; one more cell holds what is longer.
    static constexpr std::array<Nanoseconds, 20> kBounds = [] {
        using namespace std::chrono_literals;
        return std::array<Nanoseconds, 20>{50us,  100us, 250us, 500us, 1ms, 2500us, 5ms, 10ms, 25ms, 50ms,
                                           100ms, 250ms, 500ms, 1s,    2s,  5s,     10s, 30s,  60s,  120s};
    }();
    using BoundCounts = std::array<std::uint64_t, kBounds.size() + 1>;

    void record(Nanoseconds duration) noexcept {
        const auto value = static_cast<std::uint64_t>(duration.count() > 0 ? duration.count() : 0);
        const std::size_t bucket = latency_buckets::bucket_of(value);
        ++buckets_[bucket];
        const std::size_t bound = kFirstBound[bucket];
        ++between_[bound < kBounds.size() && duration > kBounds[bound] ? bound + 1 : bound];
        sum_ += value;
        if (value > max_) max_ = value;
    }
    void merge(const LatencyHistogram& other) noexcept;

    /// The duration that a share `q` (0 to 1) of all did not exceed, within 1/16; 0 where nothing was recorded.
    [[nodiscard]] Nanoseconds quantile(double q) const noexcept;
    [[nodiscard]] std::uint64_t count() const noexcept;
    [[nodiscard]] Nanoseconds sum() const noexcept { return Nanoseconds{sum_}; }
    [[nodiscard]] Nanoseconds max() const noexcept { return Nanoseconds{max_}; }
    /// How many were longer than the bound before and not longer than kBounds[i]; the last cell: longer than all.
    [[nodiscard]] const BoundCounts& between_bounds() const noexcept { return between_; }

private:
    /// For each bucket the first bound that is not below it. At most one bound lies within a bucket, because the bounds
    /// are further apart than buckets are wide.
    static constexpr std::array<std::uint8_t, latency_buckets::kBuckets> kFirstBound = [] {
        std::array<std::uint8_t, latency_buckets::kBuckets> first{};
        for (std::size_t bucket = 0; bucket < latency_buckets::kBuckets; ++bucket) {
            std::size_t bound = 0;
            while (bound < kBounds.size() &&
                   static_cast<std::uint64_t>(kBounds[bound].count()) < latency_buckets::floor_of(bucket))
                ++bound;
            first[bucket] = static_cast<std::uint8_t>(bound);
        }
        return first;
    }();

    std::array<std::uint64_t, latency_buckets::kBuckets> buckets_{};
    BoundCounts between_{};
    std::uint64_t sum_ = 0;
    std::uint64_t max_ = 0;
};

}  // namespace brokerd
