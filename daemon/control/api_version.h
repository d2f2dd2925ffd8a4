#pragma once

#include <optional>
#include <string_view>

#include "daemon/control/control_message.h"

/// Docker Engine API, "Versioning": a client may put the version that it speaks before the path.
namespace brokerd::api_version {

inline constexpr std::string_view kNewest = "1.50";
inline constexpr std::string_view kOldest = "1.24";

struct VersionedPath {
    std::string_view version;  ///< "1.41"; empty where there is none
    std::string_view path;     ///< starts with "/"
};

/// Takes "/v1.41/plugins" apart. Views into `path`. As in Docker, any digits and dots are a version.
[[nodiscard]] VersionedPath split(std::string_view path);

/// The answer to a version that is not spoken here. Precondition: from split(), and not empty.
[[nodiscard]] std::optional<ControlReply> refusal(std::string_view version);

}  // namespace brokerd::api_version
