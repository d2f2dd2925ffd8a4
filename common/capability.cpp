#include "common/capability.h"

#include <algorithm>
#include <array>

#include "common/letter_case.h"

namespace brokerd {

namespace {

constexpr std::array<std::string_view, 8> kKnown{"GraphDriver",   "IpamDriver",     "LogDriver",    "MetricsCollector",
                                                 "NetworkDriver", "SecretProvider", "VolumeDriver", "authz"};

}  // namespace

bool is_known_capability(std::string_view name) noexcept {
    return std::find(kKnown.begin(), kKnown.end(), name) != kKnown.end();
}

std::string_view capability_of_method(std::string_view method) noexcept {
    const std::size_t dot = method.find('.');
    if (dot == std::string_view::npos || dot == 0 || dot + 1 == method.size()) return {};
    // What a plugin may decode or resolve to another path is not what was looked at here.
    if (method.find_first_of("/?%\\;") != std::string_view::npos) return {};
    const std::string_view capability = method.substr(0, dot);
    return capability == "AuthZPlugin" ? std::string_view{"authz"} : capability;
}

std::string_view capability_of_type(std::string_view type) noexcept {
    const auto found = std::find_if(kKnown.begin(), kKnown.end(),
                                    [type](std::string_view name) { return equals_ignoring_case(name, type); });
    return found == kKnown.end() ? type : *found;
}

}  // namespace brokerd
