#include "daemon/managed/plugin_limits.h"

#include <fmt/format.h>

#include <array>
#include <string_view>

#include "common/json_members.h"

namespace brokerd {
namespace {

struct Limit {
    const char* member;
    std::uint64_t PluginLimits::*value;
    std::uint64_t least;
    std::uint64_t most;
    std::string_view bounds;  ///< for a person
};

constexpr std::array kLimits{
    Limit{"Memory", &PluginLimits::memory, kLeastMemory, kMostMemory, "the memory limit is at least 6 MiB"},
    Limit{"NanoCpus", &PluginLimits::nano_cpus, kLeastNanoCpus, kMostNanoCpus,
          "the limit of processor time is at least 0.01 processors"},
    Limit{"Pids", &PluginLimits::pids, 1, kMostPids, "the limit of processes is at least 1"},
};

}  // namespace

std::string limits_fault(const PluginLimits& limits) {
    for (const Limit& limit : kLimits) {
        const std::uint64_t value = limits.*limit.value;
        if (value == 0) continue;
        if (value < limit.least) return fmt::format("{}; 0 removes it", limit.bounds);
        if (value > limit.most)
            return fmt::format("{} {} is beyond any host; 0 removes the limit", limit.member, value);
    }
    return {};
}

void write_limits(JsonWriter& writer, const PluginLimits& limits) {
    writer.StartObject();
    for (const Limit& limit : kLimits) {
        if (limits.*limit.value == 0) continue;
        write_key(writer, limit.member);
        writer.Uint64(limits.*limit.value);
    }
    writer.EndObject();
}

Result<PluginLimits> read_limits(const rapidjson::Value& value, PluginLimits limits) {
    if (!value.IsObject()) return fail("limits are an object with Memory, NanoCpus and Pids");
    for (const Limit& limit : kLimits) {
        const rapidjson::Value* given = member(value, limit.member);
        if (given == nullptr || given->IsNull()) continue;
        if (!given->IsUint64()) return fail(fmt::format("{} must be a whole number, 0 for no limit", limit.member));
        limits.*limit.value = given->GetUint64();
    }
    if (std::string fault = limits_fault(limits); !fault.empty()) return fail(std::move(fault));
    return limits;
}

}  // namespace brokerd
