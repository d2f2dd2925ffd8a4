#pragma once

#include <rapidjson/document.h>

#include <span>
#include <string>
#include <string_view>

#include "cli/output/template.h"
#include "common/json.h"
#include "common/result.h"

namespace brokerd::cli {

/// For completion: the values of --format that are words.
inline constexpr const char* kFormatWords = "json table";

/// What `--format` asks for, shared by all commands that have it.
class Format {
public:
    /// "" and "table": the command's own layout; "json": one object a line; else a template, and with "table " before
    /// it a table of the template's tab-separated cells. `fields` as for Template::parse().
    [[nodiscard]] static Result<Format> parse(std::string_view text, std::span<const std::string_view> fields,
                                              Template::ListStyle style = Template::ListStyle::commas);

    /// Whether the command prints in its own layout.
    [[nodiscard]] bool is_default() const noexcept { return kind_ == Kind::own; }
    /// Whether a heading and aligned columns were asked for, which needs all objects at once.
    [[nodiscard]] bool is_table() const noexcept { return kind_ == Kind::table; }

    /// One object, ending in a line feed. Precondition: not is_default().
    [[nodiscard]] std::string line(const rapidjson::Value& object) const;
    /// All objects, under a heading where "table " was asked for. Both as Template::apply(), also for the text of all
    /// objects together. Precondition: not is_default().
    [[nodiscard]] std::string lines(std::span<const rapidjson::Document> objects) const;

private:
    enum class Kind { own, json, lines, table };

    Kind kind_ = Kind::own;
    Template template_;
};

/// What write_json() writes of `value`, as a JSON value.
template <class T>
[[nodiscard]] rapidjson::Document to_document(const T& value) {
    rapidjson::StringBuffer buffer;
    JsonWriter writer{buffer};
    write_json(writer, value);
    rapidjson::Document document;
    document.Parse(buffer.GetString(), buffer.GetSize());
    return document;
}

}  // namespace brokerd::cli
