#pragma once

#include <string>
#include <vector>

#include "common/json.h"

/// What the control API's two sides share in reading and writing JSON. Any thread.
namespace brokerd {

/// The member, or null where there is none or `object` is no object.
[[nodiscard]] const rapidjson::Value* member(const rapidjson::Value& object, const char* key);
/// The texts in an array. Other items are skipped; null and what is no array is an empty list.
[[nodiscard]] std::vector<std::string> strings_of(const rapidjson::Value* array);
/// `["…", …]`
void write_strings(JsonWriter& writer, const std::vector<std::string>& texts);

}  // namespace brokerd
