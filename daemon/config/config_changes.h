#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "daemon/config/config.h"

namespace brokerd {

/// What a new configuration means for a brokerd that runs: settings by their names, in the order of --help.
struct ConfigChanges {
    std::vector<std::string_view> taken;         ///< hold from now on
    std::vector<std::string_view> need_restart;  ///< differ, and do not hold before brokerd is started anew
};

/// Makes what can change while brokerd runs as it is in `next`, and leaves the rest of `in_force` as it is.
[[nodiscard]] ConfigChanges take_over(Config& in_force, const Config& next);

/// All settings that there are, by the names of their flags.
[[nodiscard]] std::vector<std::string_view> setting_names();

}  // namespace brokerd
