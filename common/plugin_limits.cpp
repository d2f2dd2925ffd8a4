#include "common/plugin_limits.h"

#include <fmt/format.h>

#include <array>
#include <string_view>

#include "common/json_members.h"

namespace brokerd {
namespace {

struct Limit {
    const char* member;
    std::uint64_t PluginLimits::*value;
    std::optional<std::uint64_t> LimitsChange::*change;
    std::uint64_t least;
    std::uint64_t most;
    std::string_view bounds;  ///< for a person
};

constexpr std::array kLimits{
    Limit{"Memory", &PluginLimits::memory, &LimitsChange::memory, kLeastMemory, kMostMemory,
          "the memory limit is at least 6 MiB"},
    Limit{"NanoCpus", &PluginLimits::nano_cpus, &LimitsChange::nano_cpus, kLeastNanoCpus, kMostNanoCpus,
          "the limit of processor time is at least 0.01 processors"},
    Limit{"Pids", &PluginLimits::pids, &LimitsChange::pids, 1, kMostPids, "the limit of processes is at least 1"},
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

void write_members(JsonWriter& writer, const LimitsChange& change) {
    for (const Limit& limit : kLimits) {
        const auto& value = change.*limit.change;
        if (!value) continue;
        write_key(writer, limit.member);
        writer.Uint64(*value);
    }
}

PluginLimits LimitsChange::applied_to(PluginLimits limits) const {
    for (const Limit& limit : kLimits) limits.*limit.value = (this->*limit.change).value_or(limits.*limit.value);
    return limits;
}

Result<LimitsChange> read_limits(const rapidjson::Value& value) {
    if (!value.IsObject()) return fail("limits are an object with Memory, NanoCpus and Pids");
    LimitsChange change;
    for (const Limit& limit : kLimits) {
        const rapidjson::Value* given = member(value, limit.member);
        if (given == nullptr || given->IsNull()) continue;
        if (!given->IsUint64()) return fail(fmt::format("{} must be a whole number, 0 for no limit", limit.member));
        change.*limit.change = given->GetUint64();
    }
    return change;
}

}  // namespace brokerd
