#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/json.h"
#include "common/result.h"

namespace brokerd {

/// A member of a JSON object and the text of its value as it stands there.
struct RawMember {
    std::string name;         ///< decoded
    std::string_view value;   ///< without white space around it
    std::string_view padded;  ///< with it: everything between the colon and the comma
};

/// The members of the object `text`, in order, twice-given ones included; so that what is not understood can be kept as
/// it is. The whole text is checked to be JSON in UTF-8, without recursion; a trailing comma is accepted, because
/// people edit these files. The views point into `text`. Not an object: an error at line 1, column 1.
[[nodiscard]] Result<std::vector<RawMember>, JsonError> split_object(std::string_view text);

}  // namespace brokerd
