#include "common/json_members.h"

namespace brokerd {

const rapidjson::Value* member(const rapidjson::Value& object, const char* key) {
    if (!object.IsObject()) return nullptr;
    const auto found = object.FindMember(key);
    return found == object.MemberEnd() ? nullptr : &found->value;
}

std::vector<std::string> strings_of(const rapidjson::Value* array) {
    std::vector<std::string> texts;
    if (array == nullptr || !array->IsArray()) return texts;
    for (const auto& item : array->GetArray()) {
        if (item.IsString()) texts.emplace_back(item.GetString(), item.GetStringLength());
    }
    return texts;
}

void write_strings(JsonWriter& writer, const std::vector<std::string>& texts) {
    writer.StartArray();
    for (const std::string& text : texts) write_string(writer, text);
    writer.EndArray();
}

}  // namespace brokerd
