#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace brokerd {

/// RFC 4648 4, with padding.
[[nodiscard]] std::string base64_encoded(std::string_view bytes);
/// RFC 4648 5, with padding: the form of X-Registry-Auth.
[[nodiscard]] std::string base64url_encoded(std::string_view bytes);
/// RFC 4648 4 or 5 (base64url), also mixed, padded or not. Nothing where it is neither.
[[nodiscard]] std::optional<std::string> base64_decoded(std::string_view text);

}  // namespace brokerd
