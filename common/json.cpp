#include "common/json.h"

#include <rapidjson/error/en.h>

#include <algorithm>

#include "common/plugin_name.h"
#include "common/surrogates.h"

namespace brokerd {
namespace {

/// Whether `text` is well-formed UTF-8, by RapidJSON's own table.
bool is_utf8(std::string_view text) {
    rapidjson::MemoryStream input{text.data(), text.size()};  // others pass over a byte order mark, or its beginning
    rapidjson::StringBuffer sink;
    while (input.Tell() < text.size()) {
        if (!rapidjson::UTF8<>::Validate(input, sink)) return false;
    }
    return true;
}

}  // namespace

JsonError locate(std::string_view text, std::size_t offset, std::string message) {
    const std::string_view before = text.substr(0, std::min(offset, text.size()));
    const auto lines = static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n'));
    const std::size_t line_start = before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
    return {std::move(message), lines + 1, before.size() - line_start + 1};
}

Result<rapidjson::Document, JsonError> parse_json(std::string_view text, TrailingCommas commas) {
    constexpr unsigned kStrict = rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag;
    rapidjson::MemoryStream input{text.data(), text.size()};  // unlike others it passes over no byte order mark
    rapidjson::Document document;
    if (commas == TrailingCommas::accepted) {
        document.ParseStream<kStrict | rapidjson::kParseTrailingCommasFlag>(input);
    } else {
        document.ParseStream<kStrict>(input);
    }
    if (document.HasParseError()) {
        return fail(locate(text, document.GetErrorOffset(), rapidjson::GetParseError_En(document.GetParseError())));
    }
    // RapidJSON takes a NUL for the end: another reader would see what follows.
    if (input.Tell() < text.size()) return fail(locate(text, input.Tell(), "The document contains a NUL byte."));
    if (auto fault = lone_surrogate(text)) return fail(*std::move(fault));
    return document;
}

void write_string(JsonWriter& writer, std::string_view text) {
    if (is_utf8(text)) {
        writer.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
    } else {
        const std::string shown = escaped(text, text.size());
        writer.String(shown.data(), static_cast<rapidjson::SizeType>(shown.size()));
    }
}

void write_key(JsonWriter& writer, std::string_view key) {
    writer.Key(key.data(), static_cast<rapidjson::SizeType>(key.size()));
}

void write_member(JsonWriter& writer, std::string_view key, std::string_view value) {
    write_key(writer, key);
    write_string(writer, value);
}

std::string string_member(const rapidjson::Value& object, const char* key) {
    if (!object.IsObject()) return {};
    const auto member = object.FindMember(key);
    if (member == object.MemberEnd() || !member->value.IsString()) return {};
    return {member->value.GetString(), member->value.GetStringLength()};
}

}  // namespace brokerd
