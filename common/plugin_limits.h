#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/json.h"
#include "common/result.h"

namespace brokerd {

/// What a plugin may use of the host at most; 0: no limit. Set by the operator, never by an image. A value; any thread.
struct PluginLimits {
    std::uint64_t memory = 0;  ///< bytes of main memory; what is beyond is reclaimed, then its largest process killed
    std::uint64_t nano_cpus = 0;  ///< processor time per time: 500'000'000 is half a processor
    std::uint64_t pids = 0;       ///< processes and threads

    [[nodiscard]] bool none() const noexcept { return memory == 0 && nano_cpus == 0 && pids == 0; }

    friend bool operator==(const PluginLimits&, const PluginLimits&) = default;
};

/// Docker's least memory for a container: below it the OCI runtime itself does not get through a start.
inline constexpr std::uint64_t kLeastMemory = std::uint64_t{6} << 20;
/// The kernel takes no quota below 1 ms in a period of 100 ms.
inline constexpr std::uint64_t kLeastNanoCpus = 10'000'000;
/// Ours: beyond the largest hosts, and no figure made of it overflows 63 bits.
inline constexpr std::uint64_t kMostMemory = std::uint64_t{1} << 60;
inline constexpr std::uint64_t kMostNanoCpus = std::uint64_t{1'000'000} * 1'000'000'000;
/// The kernel has no more (PID_MAX_LIMIT).
inline constexpr std::uint64_t kMostPids = std::uint64_t{1} << 22;

/// Why these limits cannot be kept, one sentence; empty: they can.
[[nodiscard]] std::string limits_fault(const PluginLimits& limits);

/// An object with a member for each limit that there is: {"Memory":…,"NanoCpus":…,"Pids":…}.
void write_limits(JsonWriter& writer, const PluginLimits& limits);

/// What is to become different; what is missing stays as it is, 0 removes a limit.
struct LimitsChange {
    std::optional<std::uint64_t> memory;
    std::optional<std::uint64_t> nano_cpus;
    std::optional<std::uint64_t> pids;

    [[nodiscard]] PluginLimits applied_to(PluginLimits limits) const;
    /// Whether it changes nothing.
    [[nodiscard]] bool none() const noexcept { return !memory && !nano_cpus && !pids; }
};

/// A member for each limit that is to be changed, for an object that the caller has begun.
void write_members(JsonWriter& writer, const LimitsChange& change);

/// Reads what write_limits() writes, in which any member may be missing; others are not looked at. The error names the
/// member that is no whole number.
[[nodiscard]] Result<LimitsChange> read_limits(const rapidjson::Value& value);

}  // namespace brokerd
