#include "daemon/control/filters.h"

#include <fmt/format.h>

#include "common/json.h"

namespace brokerd {
namespace {

std::size_t value_count(const rapidjson::Value& filter) {
    if (filter.IsArray()) return filter.Size();
    return filter.IsObject() ? filter.MemberCount() : 1;
}

}  // namespace

Result<rapidjson::Document> parse_filters(const std::string& text) {
    if (text.size() > kMaxFilterBytes) {
        return fail(fmt::format("invalid filter: it has {} bytes, and {} is the limit: use fewer or shorter values",
                                text.size(), kMaxFilterBytes));
    }
    auto document = parse_json(text.empty() ? "{}" : text);
    if (!document || !document->IsObject())
        return fail("invalid filter: it must be a JSON object, as {\"name\": [\"value\"]}");
    std::size_t values = 0;
    for (const auto& member : document->GetObject()) values += value_count(member.value);
    if (values > kMaxFilterValues) {
        return fail(
            fmt::format("invalid filter: it has {} values, and {} is the limit: use fewer", values, kMaxFilterValues));
    }
    return *std::move(document);
}

}  // namespace brokerd
