#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace brokerd::cli {

/// RFC 4648 section 5, with padding: the form of X-Registry-Auth.
[[nodiscard]] std::string base64url(std::string_view bytes);
/// RFC 4648 section 4, padding required; nothing where `text` is not that. The form of "auth" in Docker's config.json.
[[nodiscard]] std::optional<std::string> from_base64(std::string_view text);

}  // namespace brokerd::cli
