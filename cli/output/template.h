#pragma once

#include <rapidjson/document.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/output/template_functions.h"
#include "cli/output/template_syntax.h"
#include "common/result.h"

namespace brokerd::cli {

/// A template of `--format` (template_syntax.h says what may be in it), filled in from a JSON object. What comes of the
/// object is made printable; what the template itself says, in text or in literals, stays as its author wrote it.
class Template {
public:
    using ListStyle = template_syntax::ListStyle;

    /// Ours: four times what an answer may have, as much as it is where each byte must be written as \xNN.
    static constexpr std::size_t kMaxText = std::size_t{128} << 20;

    /// `fields` are the names that exist, with their members as "TLS.Verify", or as "Config.*" for whatever members
    /// there may be. The error names them, or what else is wrong with `text`.
    [[nodiscard]] static Result<Template> parse(std::string_view text, std::span<const std::string_view> fields,
                                                ListStyle style = ListStyle::commas);

    /// Without a line end, unless the template has one. An object becomes its JSON, an absent member nothing. Throws
    /// std::length_error, for the user to read, where the text or what a function makes of it exceeds kMaxText.
    [[nodiscard]] std::string apply(const rapidjson::Value& object) const;

    /// Throws the same for a text, made by templates, of so many bytes.
    static void check_size(std::size_t bytes);

    /// The template's text with each field's name in its place, in capitals, as docker heads its tables.
    [[nodiscard]] std::string heading() const;

private:
    std::vector<template_syntax::Node> nodes_;
    ListStyle style_ = ListStyle::commas;
};

}  // namespace brokerd::cli
