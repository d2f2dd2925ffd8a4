#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "common/result.h"

namespace brokerd {

/// The two halves of a request target (RFC 9112 3.2.1).
struct RequestTarget {
    std::string path;                          ///< still percent-encoded, but known to decode; starts with "/"
    std::map<std::string, std::string> query;  ///< decoded; of repeated parameters the first
};

/// Takes the origin form only ("/path?query"). The error says what is wrong with it.
[[nodiscard]] Result<RequestTarget> parse_request_target(std::string_view text);

/// `text` without its %XX; nothing where an escape is incomplete or stands for a control character.
[[nodiscard]] std::optional<std::string> percent_decoded(std::string_view text);

}  // namespace brokerd
