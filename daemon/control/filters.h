#pragma once

#include <rapidjson/document.h>

#include <cstddef>
#include <string>

#include "common/result.h"

namespace brokerd {

/// Ours: filters are typed by people. A watcher's are kept, and looked at for each event, as long as it watches.
inline constexpr std::size_t kMaxFilterBytes = std::size_t{8} * 1024;
inline constexpr std::size_t kMaxFilterValues = 256;

/// The parameter `filters` of Docker's API: {"KEY": ["VALUE", …]}, or the older {"KEY": {"VALUE": true}}. The result is
/// an object within the limits; which keys there are, and what their values may be, is for the caller to check. The
/// error is one sentence. An empty text is an empty object.
[[nodiscard]] Result<rapidjson::Document> parse_filters(const std::string& text);

}  // namespace brokerd
