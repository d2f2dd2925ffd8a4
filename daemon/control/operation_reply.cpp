#include "daemon/control/operation_reply.h"

namespace brokerd {

Result<std::vector<std::string>> parse_strings(std::string_view bytes) {
    const auto document = parse_json(bytes);
    if (!document || !document->IsArray()) return fail("the body must be a JSON array of strings");
    std::vector<std::string> strings;
    for (const auto& item : document->GetArray()) {
        if (!item.IsString()) return fail("the body must be a JSON array of strings");
        strings.emplace_back(item.GetString(), item.GetStringLength());
    }
    return strings;
}

}  // namespace brokerd
