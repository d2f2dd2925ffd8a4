#pragma once

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "common/result.h"

namespace brokerd {

/// Why a text is not JSON, and where: line and column count from 1, the column in bytes.
struct JsonError {
    std::string message;
    std::size_t line = 1;
    std::size_t column = 1;
};

enum class TrailingCommas { refused, accepted };

/// Parses strict JSON (RFC 8259) in UTF-8, without recursion, so that nesting depth cannot exhaust the stack.
[[nodiscard]] Result<rapidjson::Document, JsonError> parse_json(std::string_view text,
                                                                TrailingCommas commas = TrailingCommas::refused);

/// Line and column (from 1) of byte `offset` in `text`.
[[nodiscard]] JsonError locate(std::string_view text, std::size_t offset, std::string message);

using JsonWriter = rapidjson::Writer<rapidjson::StringBuffer>;

/// Writes `text` as a JSON string (or, as a member's name, with `key`). Bytes that are not UTF-8 are escaped first.
void write_string(JsonWriter& writer, std::string_view text);
void write_key(JsonWriter& writer, std::string_view key);

/// `"Key":"value"`.
void write_member(JsonWriter& writer, std::string_view key, std::string_view value);

/// What `write` writes to the JsonWriter that it is given.
template <class Write>
[[nodiscard]] std::string json_text(Write write) {
    rapidjson::StringBuffer buffer;
    JsonWriter writer{buffer};
    write(writer);
    return {buffer.GetString(), buffer.GetSize()};
}

/// The member's text, or an empty string where it is missing or not a string.
[[nodiscard]] std::string string_member(const rapidjson::Value& object, const char* key);

}  // namespace brokerd
