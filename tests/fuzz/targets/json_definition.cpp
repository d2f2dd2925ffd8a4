// The content of a .json file in a plugin directory: daemon/discovery/definition_text.h, json_places.h.
#include "common/json.h"
#include "daemon/discovery/json_places.h"
#include "tests/fuzz/checks.h"
#include "tests/fuzz/definition_rules.h"

namespace brokerd::fuzz::json_definition_target {
namespace {

/// The places are those of the members, in order: each name begins with its quote, and each value is one.
void expect_places(std::string_view text, const std::vector<MemberPlace>& places, const rapidjson::Value& object) {
    expect(places.size() == object.MemberCount(), "each member has a place");
    for (rapidjson::SizeType i = 0; i < places.size(); ++i) {
        const MemberPlace& place = places[i];
        const rapidjson::Value& value = object.MemberBegin()[i].value;
        expect(place.name < place.value && place.value < text.size(), "a member's place is in the text");
        expect(text[place.name] == '"', "a member's name begins with a quote");
        const char first = text[place.value];
        expect(value.IsString() == (first == '"') && value.IsObject() == (first == '{') &&
                   value.IsArray() == (first == '['),
               "a member's value stands where its place says", text.substr(place.value, 20));
        if (value.IsObject() && !place.members.empty()) expect_places(text, place.members, value);
    }
}

}  // namespace

void try_input(std::string_view input) {
    const PluginDefinition definition = parse_json_text("vieux/sshfs", kFile, input);
    expect_definition(definition, input);
    const auto document = parse_json(input, TrailingCommas::accepted);
    expect(document || !definition.endpoint || input.starts_with("\xef"), "what defines a plugin is JSON");
    if (document && document->IsObject()) expect_places(input, place_members(input), *document);
    if (!definition.endpoint || !definition.endpoint->tls()) return;
    const TlsSettings& tls = *definition.endpoint->tls();
    for (const std::string& path : {tls.ca_file, tls.cert_file, tls.key_file})
        expect(path.empty() || path.front() == '/', "a certificate's path is absolute", path);
    expect(tls.cert_file.empty() == tls.key_file.empty(), "a certificate has a key");
}

}  // namespace brokerd::fuzz::json_definition_target
