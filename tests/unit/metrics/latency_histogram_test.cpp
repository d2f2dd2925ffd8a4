#include "daemon/metrics/latency_histogram.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <random>
#include <vector>

namespace brokerd {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

/// Durations from a microsecond to eight minutes, evenly spread over the powers of ten.
std::vector<nanoseconds> samples(unsigned seed, std::size_t count) {
    std::mt19937_64 random{seed};
    std::uniform_real_distribution<double> exponent{3.0, std::log10(480e9)};
    std::vector<nanoseconds> out;
    for (std::size_t i = 0; i < count; ++i)
        out.emplace_back(static_cast<std::int64_t>(std::pow(10.0, exponent(random))));
    return out;
}

LatencyHistogram histogram_of(const std::vector<nanoseconds>& durations) {
    LatencyHistogram histogram;
    for (const nanoseconds duration : durations) histogram.record(duration);
    return histogram;
}

/// The value of which the share `q` is not longer.
nanoseconds exact_quantile(const std::vector<nanoseconds>& sorted, double q) {
    const auto rank = static_cast<std::size_t>(std::ceil(q * static_cast<double>(sorted.size())));
    return sorted[std::max<std::size_t>(rank, 1) - 1];
}

TEST_CASE("quantiles are within a sixteenth of those of the sorted samples", "[metrics]") {
    for (const unsigned seed : {1u, 2u, 3u}) {
        auto durations = samples(seed, 10'000);
        const LatencyHistogram histogram = histogram_of(durations);
        std::sort(durations.begin(), durations.end());
        for (const double q : {0.0, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0}) {
            CAPTURE(seed, q);
            const auto exact = static_cast<double>(exact_quantile(durations, q).count());
            CHECK(std::abs(static_cast<double>(histogram.quantile(q).count()) - exact) <= exact / 16);
        }
        CHECK(histogram.max() == durations.back());
        CHECK(histogram.count() == durations.size());
        nanoseconds sum{};
        for (const nanoseconds duration : durations) sum += duration;
        CHECK(histogram.sum() == sum);
    }
}

TEST_CASE("every duration alone is found again within a sixteenth", "[metrics]") {
    for (std::int64_t value = 512; value < 500'000'000'000; value += value / 23 + 1) {
        LatencyHistogram histogram;
        histogram.record(1h);  // so that quantile() cannot lean on max()
        histogram.record(nanoseconds{value});
        const double found = static_cast<double>(histogram.quantile(0.5).count());
        CAPTURE(value, found);
        REQUIRE(std::abs(found - static_cast<double>(value)) <= static_cast<double>(value) / 16);
    }
}

TEST_CASE("the counts between the bounds are exact", "[metrics]") {
    std::vector<nanoseconds> durations = samples(4, 5'000);
    for (const nanoseconds bound : LatencyHistogram::kBounds) {  // on the bound, and next to it
        durations.insert(durations.end(), {bound - 1ns, bound, bound + 1ns});
    }
    const LatencyHistogram histogram = histogram_of(durations);
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < LatencyHistogram::kBounds.size(); ++i) {
        below += histogram.between_bounds()[i];
        const nanoseconds bound = LatencyHistogram::kBounds[i];
        CAPTURE(bound.count());
        CHECK(below == static_cast<std::uint64_t>(std::count_if(durations.begin(), durations.end(),
                                                                [&](nanoseconds d) { return d <= bound; })));
    }
}

TEST_CASE("merged histograms are the histogram of all samples", "[metrics]") {
    const auto first = samples(5, 3'000), second = samples(6, 7'000);
    auto all = first;
    all.insert(all.end(), second.begin(), second.end());
    LatencyHistogram merged = histogram_of(first);
    merged.merge(histogram_of(second));
    const LatencyHistogram whole = histogram_of(all);
    for (double q = 0; q <= 1; q += 0.05) CHECK(merged.quantile(q) == whole.quantile(q));
    CHECK(merged.between_bounds() == whole.between_bounds());
    CHECK(merged.sum() == whole.sum());
    CHECK(merged.max() == whole.max());
}

TEST_CASE("nothing is too short or too long", "[metrics]") {
    LatencyHistogram histogram;
    CHECK(histogram.quantile(0.5) == 0ns);
    CHECK(histogram.count() == 0);
    histogram.record(-5ns);  // clocks are not to be trusted
    histogram.record(0ns);
    CHECK(histogram.max() == 0ns);
    histogram.record(nanoseconds::max());
    CHECK(histogram.count() == 3);
    CHECK(histogram.max() == nanoseconds::max());
    CHECK(histogram.quantile(1) > 500s);
    CHECK(histogram.between_bounds().front() == 2);
    CHECK(histogram.between_bounds().back() == 1);
}

}  // namespace
}  // namespace brokerd
