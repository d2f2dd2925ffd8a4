#include "common/capability.h"

#include <algorithm>
#include <array>

namespace brokerd {

bool is_known_capability(std::string_view name) noexcept {
    static constexpr std::array<std::string_view, 8> kKnown{"GraphDriver",      "IpamDriver",    "LogDriver",
                                                            "MetricsCollector", "NetworkDriver", "SecretProvider",
                                                            "VolumeDriver",     "authz"};
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

}  // namespace brokerd
