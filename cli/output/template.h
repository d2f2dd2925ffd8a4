#pragma once

#include <rapidjson/document.h>

#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/result.h"

namespace brokerd::cli {

/// The part of Go's text/template that `--format` is used for: text with \t and \n, {{.Field}}, {{.Field.Member}} and
/// {{json .}}, {{json .Field}}, filled in from a JSON object. What comes out is printable.
class Template {
public:
    struct Text {
        std::string text;
    };
    struct Field {
        std::vector<std::string> path;  ///< empty: the whole object
        bool as_json = false;
    };
    using Piece = std::variant<Text, Field>;

    /// `fields` are the names that exist, with their members as "TLS.Verify", or as "Config.*" for whatever members
    /// there may be. The error names them, or what else is wrong with `text`.
    [[nodiscard]] static Result<Template> parse(std::string_view text, std::span<const std::string_view> fields);

    /// Without a line end, unless the template has one. A list becomes its items with commas between them, an object
    /// its JSON, an absent member nothing.
    [[nodiscard]] std::string apply(const rapidjson::Value& object) const;

    /// The template's text with each field's name in its place, in capitals, as docker heads its tables.
    [[nodiscard]] std::string heading() const;

private:
    std::vector<Piece> pieces_;
};

}  // namespace brokerd::cli
