#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/metrics/latency_histogram.h"

namespace brokerd {

/// How a call ended.
enum class Outcome : std::uint8_t {
    ok,            ///< the plugin's answer, complete, with a status below 400
    plugin_error,  ///< the plugin's answer, complete, with a status of 400 or more
    broker_error,  ///< no complete answer of the plugin: it failed, was not there, or took too long
    client_gone,   ///< the engine left, or sent a broken request, before the answer was complete
};
inline constexpr std::size_t kOutcomes = 4;
/// As it is written in metrics.
[[nodiscard]] std::string_view outcome_name(Outcome outcome) noexcept;

/// What is counted of one method of one plugin. About 2 KiB.
struct MethodCounts {
    std::array<std::uint64_t, kOutcomes> calls{};  ///< ended, by Outcome
    std::uint64_t in_flight = 0;
    std::uint64_t request_bytes = 0;
    std::uint64_t answer_bytes = 0;
    LatencyHistogram durations;  ///< of the calls that reached the plugin

    void merge(const MethodCounts& other) noexcept;
};

/// Counts the calls of one method. Every begin() is followed by one end().
class MethodMeter {
public:
    /// A call is dispatched to the plugin.
    void begin() noexcept { ++counts_.in_flight; }
    /// Its answer is complete, or it failed. `duration` is from begin(); bytes are those of bodies. Times of the loop's
    /// present batch (EventLoop::now) are good enough: nothing then asks the clock for the sake of counting.
    void end(Outcome outcome, std::chrono::nanoseconds duration, std::uint64_t request_bytes,
             std::uint64_t answer_bytes) noexcept {
        --counts_.in_flight;
        ++counts_.calls[static_cast<std::size_t>(outcome)];
        counts_.request_bytes += request_bytes;
        counts_.answer_bytes += answer_bytes;
        counts_.durations.record(duration);
    }
    /// A call that the broker answered instead of the plugin, which never saw it (503, 504 while it is down). Without
    /// begin(), and without a duration.
    void refuse() noexcept { ++counts_.calls[static_cast<std::size_t>(Outcome::broker_error)]; }

    [[nodiscard]] const MethodCounts& counts() const noexcept { return counts_; }

private:
    MethodCounts counts_;
};

/// Counts the calls of one plugin on one proxy thread, by method. Owns no memory until the first call.
/// Thread: that proxy thread's; no atomics, no locks.
class PluginMeter {
public:
    /// Ours: the largest of Docker's plugin APIs has 14 methods; what an engine invents beyond this is kOther.
    static constexpr std::size_t kMaxMethods = 64;
    /// Ours: a longer name is counted as kOther.
    static constexpr std::size_t kMaxNameBytes = 100;
    static constexpr std::string_view kOther = "other";

    /// The meter of the method that is called as `path` ("/VolumeDriver.Get"), valid for as long as this object is.
    /// Allocates at the method's first call only.
    [[nodiscard]] MethodMeter& method(std::string_view path) {
        const std::string_view name = path.starts_with('/') ? path.substr(1) : path;
        for (const auto& known : methods_) {
            if (known->name == name) return known->meter;
        }
        return add(name);
    }

    struct Method {
        std::string name;  ///< as the engine wrote it, without "/"; hostile
        MethodMeter meter;
    };
    [[nodiscard]] const std::vector<std::unique_ptr<Method>>& methods() const noexcept { return methods_; }

private:
    MethodMeter& add(std::string_view name);

    std::vector<std::unique_ptr<Method>> methods_;
    MethodMeter* other_ = nullptr;  ///< of kOther, once it is needed
};

/// One call on its way, for whoever carries it: adds up its bytes, and counts it as client_gone if nobody says
/// how it ended. Thread: its meter's, which outlives the call (not necessarily this object).
class MeteredCall {
public:
    using Clock = std::chrono::steady_clock;

    MeteredCall() = default;
    ~MeteredCall() {
        if (is_running()) finish(Outcome::client_gone, Clock::now());
    }
    MeteredCall(const MeteredCall&) = delete;
    MeteredCall& operator=(const MeteredCall&) = delete;

    void start(MethodMeter& meter, Clock::time_point now) noexcept {
        finish(Outcome::client_gone, now);
        meter_ = &meter;
        began_ = now;
        request_bytes_ = answer_bytes_ = 0;
        meter.begin();
    }
    void add_request_bytes(std::size_t count) noexcept { request_bytes_ += count; }
    void add_answer_bytes(std::size_t count) noexcept { answer_bytes_ += count; }
    /// No-op where no call is on its way.
    void finish(Outcome outcome, Clock::time_point now) noexcept {
        if (meter_ == nullptr) return;
        std::exchange(meter_, nullptr)->end(outcome, now - began_, request_bytes_, answer_bytes_);
    }
    [[nodiscard]] bool is_running() const noexcept { return meter_ != nullptr; }

private:
    MethodMeter* meter_ = nullptr;
    Clock::time_point began_{};
    std::uint64_t request_bytes_ = 0;
    std::uint64_t answer_bytes_ = 0;
};

}  // namespace brokerd
