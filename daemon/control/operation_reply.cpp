#include "daemon/control/operation_reply.h"

namespace brokerd {

std::optional<std::vector<std::string>> read_strings(const rapidjson::Value& array) {
    if (!array.IsArray()) return std::nullopt;
    std::vector<std::string> strings;
    for (const auto& item : array.GetArray()) {
        if (!item.IsString()) return std::nullopt;
        strings.emplace_back(item.GetString(), item.GetStringLength());
    }
    return strings;
}

Result<std::vector<std::string>> parse_strings(std::string_view bytes) {
    const auto document = parse_json(bytes);
    auto strings = document ? read_strings(*document) : std::nullopt;
    if (!strings) return fail("the body must be a JSON array of strings");
    return *std::move(strings);
}

}  // namespace brokerd
