#include "common/manifest.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/capability.h"
#include "common/json.h"
#include "common/plugin_name.h"

namespace brokerd {
namespace {

/// Ours: Docker knows eight capabilities; a list beyond this is not a manifest.
constexpr std::size_t kMaxCapabilities = 64;

}  // namespace

Result<Manifest> Manifest::parse(std::string_view body) {
    if (body.size() > kMaxManifestBytes)
        return fail(fmt::format("its answer is longer than {} bytes", kMaxManifestBytes));
    const auto document = parse_json(body);
    if (!document) return fail(fmt::format("its answer is not JSON ({})", document.error().message));
    if (!document->IsObject()) return fail("its answer is not a JSON object");
    const auto member = document->FindMember("Implements");
    if (member == document->MemberEnd()) return fail("its answer has no \"Implements\"");
    if (!member->value.IsArray()) return fail("\"Implements\" in its answer is not a list");
    if (member->value.Empty()) return fail("\"Implements\" in its answer is empty");
    if (member->value.Size() > kMaxCapabilities)
        return fail(fmt::format("\"Implements\" in its answer has more than {} entries", kMaxCapabilities));

    Manifest manifest;
    for (const auto& item : member->value.GetArray()) {
        if (!item.IsString()) return fail("\"Implements\" in its answer has an entry that is not a string");
        std::string name{item.GetString(), item.GetStringLength()};
        if (!manifest.implements(name)) manifest.capabilities_.push_back(std::move(name));
    }
    if (std::none_of(manifest.capabilities_.begin(), manifest.capabilities_.end(), is_known_capability)) {
        return fail(fmt::format("it implements only \"{}\", which no engine knows",
                                escaped(manifest.capabilities_.front(), 60)));
    }
    return manifest;
}

bool Manifest::implements(std::string_view capability) const {
    return std::find(capabilities_.begin(), capabilities_.end(), capability) != capabilities_.end();
}

std::string Manifest::to_json() const {
    rapidjson::StringBuffer buffer;
    JsonWriter writer{buffer};
    writer.StartObject();
    write_key(writer, "Implements");
    writer.StartArray();
    for (const std::string& capability : capabilities_) write_string(writer, capability);
    writer.EndArray();
    writer.EndObject();
    return buffer.GetString();
}

}  // namespace brokerd
