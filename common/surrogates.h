#pragma once

#include <optional>
#include <string_view>

#include "common/json.h"

namespace brokerd {

/// Where in `json`, which RapidJSON has accepted, the second half of a surrogate pair stands alone ("\udc00"): a fault,
/// because no UTF-8 can be made of it (RFC 3629 3). RapidJSON itself refuses only a first half without its second.
[[nodiscard]] std::optional<JsonError> lone_surrogate(std::string_view json);

}  // namespace brokerd
