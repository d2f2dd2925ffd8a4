#pragma once

#include <string_view>

#include "common/digest.h"

namespace brokerd {

/// A digest or plugin's id as Docker shows it: its first twelve digits.
inline constexpr std::size_t kShortDigits = 12;

[[nodiscard]] inline std::string_view short_id(const Digest& digest) {
    return digest.hex().substr(0, kShortDigits);
}

}  // namespace brokerd
