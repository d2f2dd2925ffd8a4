#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/plugin_limits.h"
#include "common/result.h"
#include "daemon/managed/privileges.h"

/// What clients send as bodies, read. The errors are one sentence, for a 400.
namespace brokerd {

/// Of `set`: a JSON array of texts.
[[nodiscard]] Result<std::vector<std::string>> parse_strings(std::string_view body);

/// Of `limits`: {"Memory": bytes, "NanoCpus": n, "Pids": n, "Settings": ["K=V", …]}, each of them optional.
struct LimitsRequest {
    LimitsChange limits;
    std::vector<std::string> settings;
};
[[nodiscard]] Result<LimitsRequest> parse_limits_request(std::string_view body);

/// Of the install of what has been loaded: {"Privileges": […], "Settings": ["K=V", …]}, each of them optional.
struct StagedInstall {
    Privileges privileges;
    std::vector<std::string> settings;
};
[[nodiscard]] Result<StagedInstall> parse_staged_install(std::string_view body);

}  // namespace brokerd
