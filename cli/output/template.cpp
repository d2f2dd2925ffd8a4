#include "cli/output/template.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "cli/output/printable.h"
#include "common/json.h"

namespace brokerd::cli {
namespace {

std::string json_text(const rapidjson::Value& value) {
    rapidjson::StringBuffer buffer;
    JsonWriter writer{buffer};
    value.Accept(writer);
    return printable_json({buffer.GetString(), buffer.GetSize()});
}

std::string plain_text(const rapidjson::Value& value) {
    if (value.IsNull()) return {};
    if (value.IsString()) return printable({value.GetString(), value.GetStringLength()});
    if (!value.IsArray()) return json_text(value);
    std::string out;
    for (const auto& item : value.GetArray()) {
        if (!out.empty()) out += ',';
        out += plain_text(item);
    }
    return out;
}

const rapidjson::Value* find(const rapidjson::Value& object, const std::vector<std::string>& path) {
    const rapidjson::Value* value = &object;
    for (const std::string& name : path) {
        if (!value->IsObject()) return nullptr;
        const auto member = value->FindMember(name);
        if (member == value->MemberEnd()) return nullptr;
        value = &member->value;
    }
    return value;
}

/// docker takes \t and \n in a template for the characters: they are hard to type in a shell.
std::string with_escapes(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char next = text[i] == '\\' && i + 1 < text.size() ? text[i + 1] : '\0';
        if (next == 't' || next == 'n') {
            out += next == 't' ? '\t' : '\n';
            ++i;
        } else {
            out += text[i];
        }
    }
    return out;
}

std::string_view trimmed(std::string_view text) {
    const std::size_t first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// "TLS.Verify" as its parts; nothing for the empty text, which means the whole object.
std::vector<std::string> parts(std::string_view path) {
    std::vector<std::string> out;
    while (!path.empty()) {
        const std::size_t end = std::min(path.find('.'), path.size());
        out.emplace_back(path.substr(0, end));
        path.remove_prefix(std::min(end + 1, path.size()));
    }
    return out;
}

/// Whether `field` is "Config.*" and `path` something like "Config.Env".
bool is_below(std::string_view path, std::string_view field) {
    if (field.size() < 2 || field.substr(field.size() - 2) != ".*") return false;
    field.remove_suffix(1);
    return path.size() > field.size() && path.substr(0, field.size()) == field;
}

/// What stands between {{ and }}.
Result<Template::Field> parse_action(std::string_view action, std::span<const std::string_view> fields) {
    std::string_view rest = trimmed(action);
    const bool as_json = rest.substr(0, 5) == "json ";
    if (as_json) rest = trimmed(rest.substr(5));
    const bool known_form = !rest.empty() && rest.front() == '.' && rest.find(' ') == std::string_view::npos;
    if (!known_form || (rest == "." && !as_json)) {
        return fail(fmt::format(
            "cannot use {{{{{}}}}} in a format: write {{{{.Field}}}}, {{{{json .Field}}}} or {{{{json .}}}}", action));
    }
    rest.remove_prefix(1);
    const auto is_rest = [&](std::string_view field) { return rest == field || is_below(rest, field); };
    if (!rest.empty() && std::none_of(fields.begin(), fields.end(), is_rest)) {
        return fail(fmt::format("there is no field .{} here; the fields are .{}", rest, fmt::join(fields, ", .")));
    }
    return Template::Field{parts(rest), as_json};
}

std::string capitals(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return text;
}

}  // namespace

Result<Template> Template::parse(std::string_view text, std::span<const std::string_view> fields) {
    Template result;
    while (!text.empty()) {
        const std::size_t open = text.find("{{");
        if (open != 0) result.pieces_.emplace_back(Text{with_escapes(text.substr(0, open))});
        if (open == std::string_view::npos) break;
        const std::size_t close = text.find("}}", open);
        if (close == std::string_view::npos) return fail("a {{ in the format has no }}");
        auto field = parse_action(text.substr(open + 2, close - open - 2), fields);
        if (!field) return fail(field.error());
        result.pieces_.emplace_back(std::move(*field));
        text.remove_prefix(close + 2);
    }
    return result;
}

std::string Template::apply(const rapidjson::Value& object) const {
    std::string out;
    for (const Piece& piece : pieces_) {
        if (const Text* text = std::get_if<Text>(&piece)) {
            out += text->text;
            continue;
        }
        const Field& field = std::get<Field>(piece);
        const rapidjson::Value* value = find(object, field.path);
        if (value != nullptr) {
            out += field.as_json ? json_text(*value) : plain_text(*value);
        } else if (field.as_json) {
            out += "null";
        }
    }
    return out;
}

std::string Template::heading() const {
    std::string out;
    for (const Piece& piece : pieces_) {
        if (const Text* text = std::get_if<Text>(&piece)) {
            out += text->text;
        } else if (const Field& field = std::get<Field>(piece); !field.path.empty()) {
            out += capitals(field.path.back());
        }
    }
    return out;
}

}  // namespace brokerd::cli
