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
    const std::size_t names = methods_.size() - (other_ != nullptr ? 1 : 0);
    const bool has_place = names < kMaxMethods - 1 && !name.empty() && name.size() <= kMaxNameBytes;
    if (!has_place && other_ != nullptr) return *other_;
    methods_.push_back(std::make_unique<Method>(Method{std::string{has_place ? name : kOther}, {}}));
    MethodMeter& added = methods_.back()->meter;
    if (!has_place) other_ = &added;
    return added;
}

}  // namespace brokerd
