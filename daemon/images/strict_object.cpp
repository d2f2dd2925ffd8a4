#include "daemon/images/strict_object.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "common/plugin_name.h"

namespace brokerd {
namespace {

std::string_view view(const rapidjson::Value& text) {
    return {text.GetString(), text.GetStringLength()};
}

}  // namespace

Result<StrictObject> StrictObject::of(const rapidjson::Value& value, std::string pointer) {
    if (!value.IsObject()) return fail(fmt::format("{} is not an object", pointer.empty() ? "it" : pointer));
    std::set<std::string> names;
    for (const auto& member : value.GetObject()) {
        std::string name{view(member.name)};
        std::transform(name.begin(), name.end(), name.begin(), to_lower);
        if (!names.insert(std::move(name)).second)
            return fail(fmt::format("{}/{} is there twice", pointer, escaped(view(member.name), 60)));
    }
    return StrictObject{value, std::move(pointer)};
}

const rapidjson::Value* StrictObject::find(std::string_view name) const {
    const auto member =
        value_->FindMember(rapidjson::Value{name.data(), static_cast<rapidjson::SizeType>(name.size())});
    return member == value_->MemberEnd() || member->value.IsNull() ? nullptr : &member->value;
}

std::string StrictObject::pointer_to(std::string_view name) const {
    return fmt::format("{}/{}", pointer_, name);
}

Result<std::string> StrictObject::text(std::string_view name) const {
    const rapidjson::Value* value = find(name);
    if (value == nullptr) return std::string{};
    if (!value->IsString()) return fail(pointer_to(name) + " is not a text");
    return std::string{view(*value)};
}

Result<Digest> StrictObject::digest(std::string_view name) const {
    const auto written = text(name);
    if (!written) return fail(written.error());
    if (written->empty()) return fail(pointer_to(name) + " is missing");
    auto parsed = Digest::parse(*written);
    if (!parsed) return fail(fmt::format("{}: {}", pointer_to(name), parsed.error().message));
    return parsed;
}

Result<std::uint64_t> StrictObject::size(std::string_view name, std::uint64_t limit) const {
    const rapidjson::Value* value = find(name);
    if (value == nullptr) return fail(pointer_to(name) + " is missing");
    if (!value->IsUint64()) return fail(pointer_to(name) + " is not a size in bytes");
    if (value->GetUint64() > limit)
        return fail(fmt::format("{} is {} bytes; at most {} are allowed", pointer_to(name), value->GetUint64(), limit));
    return value->GetUint64();
}

Result<std::map<std::string, std::string>> StrictObject::texts(std::string_view name) const {
    std::map<std::string, std::string> out;
    const rapidjson::Value* value = find(name);
    if (value == nullptr) return out;
    if (!value->IsObject()) return fail(pointer_to(name) + " is not an object");
    for (const auto& member : value->GetObject()) {
        const std::string key{view(member.name)};
        const std::string where = fmt::format("{}/{}", pointer_to(name), escaped(key, 60));
        if (!member.value.IsString()) return fail(where + " is not a text");
        if (!out.emplace(key, view(member.value)).second) return fail(where + " is there twice");
    }
    return out;
}

}  // namespace brokerd
