#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

namespace brokerd::bench {

/// Durations in nanoseconds, kept to within 0.8 %, from 0 to 2^64.
class Histogram {
public:
    void record(std::uint64_t value) noexcept {
        ++counts_[index_of(value)];
        ++total_;
    }
    /// The smallest value that at least `percent` of all do not exceed; 0 without any.
    [[nodiscard]] std::uint64_t percentile(double percent) const noexcept {
        const auto wanted = static_cast<std::uint64_t>(std::ceil(static_cast<double>(total_) * percent / 100));
        std::uint64_t seen = 0;
        for (std::size_t index = 0; index < counts_.size() && total_ > 0; ++index) {
            seen += counts_[index];
            if (seen >= wanted && seen > 0) return value_of(index);
        }
        return 0;
    }

private:
    // Values below 2^8 have a bucket each; above, each power of two is divided into 2^7.
    static constexpr int kBits = 8;
    static std::size_t index_of(std::uint64_t value) noexcept {
        const int shift = std::max(0, static_cast<int>(std::bit_width(value)) - kBits);
        return (static_cast<std::size_t>(shift) << kBits) + static_cast<std::size_t>(value >> shift);
    }
    static std::uint64_t value_of(std::size_t index) noexcept {
        const std::uint64_t within = index & ((1U << kBits) - 1);
        return within << (index >> kBits);
    }

    std::array<std::uint64_t, (64 - kBits + 1) << kBits> counts_{};
    std::uint64_t total_ = 0;
};

}  // namespace brokerd::bench
