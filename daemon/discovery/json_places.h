#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace brokerd {

/// Where a member of a JSON object stands in the text: byte offsets of its name's and its value's first character.
struct MemberPlace {
    std::size_t name = 0;
    std::size_t value = 0;
    std::vector<MemberPlace> members;  ///< of the value, where it is an object; only one level deep
};

/// The places of the members of `text`'s root object, in the order of a rapidjson::Document of the same text (which
/// itself does not keep them). Precondition: parse_json accepts `text`, with trailing commas.
[[nodiscard]] std::vector<MemberPlace> place_members(std::string_view text);

}  // namespace brokerd
