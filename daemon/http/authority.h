#pragma once

#include <string_view>

namespace brokerd {

/// RFC 9110 7.2 and RFC 3986 3.2.2, 3.2.3: [host [":" port]]. May be empty: dockerd sends an empty Host.
[[nodiscard]] bool is_host_and_port(std::string_view text) noexcept;

/// The path of an absolute-form request target "http://host[:port]/path" (RFC 9112 3.2.2); any other as it is.
[[nodiscard]] std::string_view without_authority(std::string_view target) noexcept;

}  // namespace brokerd
