#include "daemon/metrics/call_meter.h"

namespace brokerd {

std::string_view outcome_name(Outcome outcome) noexcept {
    static constexpr std::array<std::string_view, kOutcomes> kNames{"ok", "plugin_error", "broker_error",
                                                                    "client_gone"};
    return kNames[static_cast<std::size_t>(outcome)];
}

void MethodCounts::merge(const MethodCounts& other) noexcept {
    for (std::size_t i = 0; i < kOutcomes; ++i) calls[i] += other.calls[i];
    in_flight += other.in_flight;
    request_bytes += other.request_bytes;
    answer_bytes += other.answer_bytes;
    durations.merge(other.durations);
}

MethodMeter& PluginMeter::add(std::string_view name) {
    const bool has_place = methods_.size() + 1 < kMaxMethods;  // the last one is for kOther
    if (name.size() > kMaxNameBytes || name.empty() || !has_place) name = kOther;
    for (const auto& known : methods_) {
        if (known->name == name) return known->meter;
    }
    methods_.push_back(std::make_unique<Method>(Method{std::string{name}, {}}));
    return methods_.back()->meter;
}

}  // namespace brokerd
