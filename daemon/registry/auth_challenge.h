#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace brokerd {

/// One challenge of WWW-Authenticate (RFC 9110 11.3, 11.6.1).
struct AuthChallenge {
    std::string scheme;                                       ///< lower case
    std::vector<std::pair<std::string, std::string>> params;  ///< names in lower case, values without quotes

    /// The parameter's value, or an empty string.
    [[nodiscard]] std::string_view param(std::string_view name) const;
};

/// All challenges of one field value. Nothing where any part of it is malformed, names a parameter twice, or is beyond
/// the limits (8 KiB, 8 challenges, 16 parameters each): nothing in it can be trusted then.
[[nodiscard]] std::optional<std::vector<AuthChallenge>> parse_challenges(std::string_view value);

}  // namespace brokerd
