// JSON of every origin: common/json.h, common/manifest.h, daemon/managed/raw_members.h.
#include "common/json.h"

#include <algorithm>

#include "common/manifest.h"
#include "daemon/managed/json_field.h"
#include "daemon/managed/raw_members.h"
#include "tests/fuzz/checks.h"

namespace brokerd::fuzz::json_text_target {
namespace {

std::string written(const rapidjson::Value& value) {
    return json_text([&](JsonWriter& writer) { value.Accept(writer); });
}

void expect_error(const JsonError& error, std::string_view input) {
    expect_sentence(error.message);
    expect(error.line >= 1 && error.column >= 1 && error.line <= input.size() + 1 && error.column <= input.size() + 1,
           "an error's place is in the text");
}

/// Whether there is a number that is no integer: RapidJSON 1.1 may miss the last bit of such a one, and reads 11e308 as
/// an infinite one, which it cannot write. Nothing here counts with them.
bool has_fraction(const rapidjson::Value& value) {
    if (value.IsArray()) return std::any_of(value.Begin(), value.End(), has_fraction);
    if (!value.IsObject()) return value.IsDouble();
    return std::any_of(value.MemberBegin(), value.MemberEnd(), [](const auto& one) { return has_fraction(one.value); });
}

/// Each member's value, cut out, is what the whole has in that place.
void try_members(std::string_view input) {
    const auto members = split_object(input);
    if (!members) return expect_error(members.error(), input);
    const auto document = parse_json(input, TrailingCommas::accepted);
    expect(document && document->IsObject() && document->MemberCount() == members->size(),
           "what is split is an object with as many members");
    if (is_deep(input)) return;
    for (rapidjson::SizeType i = 0; i < members->size(); ++i) {
        const RawMember& member = (*members)[i];
        const auto& [name, value] = document->MemberBegin()[i];
        expect(member.name == std::string_view{name.GetString(), name.GetStringLength()}, "a member keeps its name");
        const auto cut = parse_json(member.value, TrailingCommas::accepted);
        expect(cut && written(*cut) == written(value), "a member's text is its value", member.value);
        expect(member.padded.find(member.value) != std::string_view::npos, "a member's text is within its padding");
    }
}

void try_manifest(std::string_view input) {
    const auto manifest = Manifest::parse(input);
    if (!manifest) return expect_sentence(manifest.error().message);
    const auto again = Manifest::parse(manifest->to_json());
    expect(again && *again == *manifest, "a manifest is read as itself", manifest->to_json());
}

}  // namespace

void try_input(std::string_view input) {
    try_members(input);
    try_manifest(input);
    // Any bytes become a string of JSON, and come back where they were UTF-8.
    const std::string quoted = json_text([&](JsonWriter& writer) { write_string(writer, input); });
    const auto unquoted = parse_json(quoted);
    expect(unquoted && unquoted->IsString(), "any text is written as JSON", quoted);

    const auto strict = parse_json(input);
    const auto tolerant = parse_json(input, TrailingCommas::accepted);
    expect(!strict || tolerant, "what is strict JSON is accepted with trailing commas, too");
    if (!strict) expect_error(strict.error(), input);
    if (!tolerant) return expect_error(tolerant.error(), input);
    if (is_deep(input)) return;
    expect(is_plain_text(input), "JSON has no NUL and no byte order mark");
    const std::string text = written(*tolerant);
    const auto again = parse_json(text);
    expect(has_fraction(*tolerant) || (again && written(*again) == text), "JSON that is written is read as itself",
           text);
    expect(!strict || written(*strict) == text, "trailing commas mean nothing", text);
}

}  // namespace brokerd::fuzz::json_text_target
