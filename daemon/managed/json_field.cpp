#include "daemon/managed/json_field.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/plugin_name.h"

namespace brokerd {
namespace {

std::string_view text_of(const rapidjson::Value& value) {
    return {value.GetString(), value.GetStringLength()};
}

}  // namespace

bool is_plain_text(std::string_view text) noexcept {
    return text.find('\0') == std::string_view::npos && !text.starts_with("\xEF\xBB\xBF");
}

std::string repeated_member(const rapidjson::Value& object) {
    std::vector<std::string> names;
    names.reserve(object.MemberCount());
    for (const auto& member : object.GetObject()) {
        std::string name{text_of(member.name)};
        std::transform(name.begin(), name.end(), name.begin(), to_lower);
        names.push_back(std::move(name));
    }
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    return twice == names.end() ? std::string{} : escaped(*twice, 60);
}

JsonField::JsonField(const rapidjson::Value& value, std::optional<ConfigError>& first_error)
    : JsonField{value.IsNull() ? nullptr : &value, {}, first_error} {}

JsonField::JsonField(const rapidjson::Value* value, std::string pointer, std::optional<ConfigError>& first_error)
    : value_{value}, pointer_{std::move(pointer)}, first_error_{&first_error} {}

void JsonField::refuse(std::string message) const {
    if (!*first_error_) *first_error_ = ConfigError{pointer_, std::move(message)};
}

void JsonField::expect_object() const {
    if (missing()) return;
    if (!value_->IsObject()) return refuse("must be an object");
    const std::string twice = repeated_member(*value_);
    if (!twice.empty()) refuse(fmt::format("has the member \"{}\" twice; say which one is meant", twice));
}

JsonField JsonField::member(std::string_view name) const {
    const rapidjson::Value* found = nullptr;
    if (value_ != nullptr && value_->IsObject()) {
        for (const auto& member : value_->GetObject()) {
            if (equals_ignoring_case(text_of(member.name), name)) {
                found = member.value.IsNull() ? nullptr : &member.value;
                break;
            }
        }
    }
    return {found, fmt::format("{}/{}", pointer_, name), *first_error_};
}

bool JsonField::take_text(std::string& out) const {
    if (missing()) return false;
    if (!value_->IsString()) {
        refuse("must be a text");
        return false;
    }
    const std::string_view text = text_of(*value_);
    if (text.size() > kMaxConfigText) {
        refuse(fmt::format("is longer than {} bytes", kMaxConfigText));
        return false;
    }
    if (text.find('\0') != std::string_view::npos) {
        refuse("contains a NUL character");
        return false;
    }
    out = text;
    return true;
}

void JsonField::read(std::string& out) const {
    (void)take_text(out);
}

void JsonField::read(std::optional<std::string>& out) const {
    std::string text;
    if (take_text(text)) out = std::move(text);
}

void JsonField::read(bool& out) const {
    if (missing()) return;
    if (!value_->IsBool()) return refuse("must be true or false");
    out = value_->GetBool();
}

void JsonField::read(std::uint32_t& out) const {
    if (missing()) return;
    if (!value_->IsUint()) return refuse("must be a whole number from 0 to 4294967295");
    out = value_->GetUint();
}

void JsonField::read(NullableList<std::string>& out) const {
    if (missing()) return;
    std::vector<std::string> items;
    for (const JsonField& element : elements()) {
        // In a list of texts, Go reads null as the empty text; nobody means that.
        if (element.missing()) element.refuse("must be a text");
        element.read(items.emplace_back());
    }
    out = NullableList<std::string>{std::move(items)};
}

std::vector<JsonField> JsonField::elements() const {
    std::vector<JsonField> all;
    if (missing()) return all;
    if (!value_->IsArray()) {
        refuse("must be a list");
        return all;
    }
    if (value_->Size() > kMaxConfigItems) {
        refuse(fmt::format("has more than {} elements", kMaxConfigItems));
        return all;
    }
    all.reserve(value_->Size());
    for (rapidjson::SizeType i = 0; i < value_->Size(); ++i) {
        const rapidjson::Value& item = (*value_)[i];
        all.push_back(JsonField{item.IsNull() ? nullptr : &item, fmt::format("{}/{}", pointer_, i), *first_error_});
    }
    return all;
}

}  // namespace brokerd
