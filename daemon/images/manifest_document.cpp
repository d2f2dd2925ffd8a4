#include "daemon/images/manifest_document.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "common/json.h"
#include "common/plugin_name.h"
#include "daemon/images/strict_object.h"

namespace brokerd {
namespace {

using Kind = ManifestDocument::Kind;

std::optional<Kind> kind_of(std::string_view media_type) {
    if (media_type == kDockerManifestType || media_type == kOciManifestType) return Kind::manifest;
    if (media_type == kDockerManifestListType || media_type == kOciIndexType) return Kind::index;
    return std::nullopt;
}

bool is_schema1(std::string_view media_type) {
    return media_type == kDockerSchema1Type || media_type == kDockerSignedSchema1Type;
}

/// A Content-Type without its parameters; empty where it says nothing of what the content is.
std::string bare_type(std::string_view content_type) {
    std::string type{content_type.substr(0, content_type.find(';'))};
    while (!type.empty() && type.back() == ' ') type.pop_back();
    std::transform(type.begin(), type.end(), type.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    const bool says_nothing = type == "application/json" || type == "application/octet-stream" || type == "text/plain";
    return says_nothing ? std::string{} : type;
}

Failure<Error> damaged(std::string_view why) {
    return fail(fmt::format("its manifest cannot be read: {}", why));
}

/// The document's media type: what it says, else what it was served as, else what its members show.
Result<std::string> type_of(const StrictObject& root, std::string_view content_type) {
    const std::string served = bare_type(content_type);
    auto own = root.text("mediaType");
    if (!own) return own;
    if (!own->empty() && !served.empty() && *own != served) {
        return fail(fmt::format("it calls itself {} and comes as {}", escaped(*own, 80), escaped(served, 80)));
    }
    if (!own->empty()) return own;
    if (!served.empty()) return served;
    return std::string{root.find("manifests") != nullptr ? kOciIndexType : kOciManifestType};
}

Result<std::optional<Platform>> platform_of(const StrictObject& descriptor) {
    const rapidjson::Value* value = descriptor.find("platform");
    if (value == nullptr) return std::optional<Platform>{};
    const auto object = StrictObject::of(*value, descriptor.pointer_to("platform"));
    if (!object) return fail(object.error());
    auto os = object->text("os");
    auto architecture = object->text("architecture");
    auto variant = object->text("variant");
    for (const auto* part : {&os, &architecture, &variant}) {
        if (!*part) return fail(part->error());
    }
    // Without os and architecture it says nothing, as if it were not there.
    if (os->empty() && architecture->empty()) return std::optional<Platform>{};
    return std::optional<Platform>{Platform{*std::move(os), *std::move(architecture), *std::move(variant)}};
}

Result<Descriptor> descriptor_of(const rapidjson::Value& value, std::string pointer, std::uint64_t max_size) {
    const auto object = StrictObject::of(value, std::move(pointer));
    if (!object) return fail(object.error());
    auto media_type = object->text("mediaType");
    if (!media_type) return fail(media_type.error());
    auto digest = object->digest("digest");
    if (!digest) return fail(digest.error());
    auto size = object->size("size", max_size);
    if (!size) return fail(size.error());
    auto platform = platform_of(*object);
    if (!platform) return fail(platform.error());
    auto artifact_type = object->text("artifactType");
    if (!artifact_type) return fail(artifact_type.error());
    auto annotations = object->texts("annotations");
    if (!annotations) return fail(annotations.error());
    return Descriptor{*std::move(media_type), *std::move(digest),        *size,
                      *std::move(platform),   *std::move(artifact_type), *std::move(annotations)};
}

}  // namespace

bool ManifestDocument::is_manifest_type(std::string_view media_type) {
    return kind_of(media_type).has_value();
}

Result<ManifestDocument> ManifestDocument::parse(std::string_view bytes, std::string_view content_type) {
    if (bytes.size() > kMaxImageManifestBytes)
        return damaged(fmt::format("it is longer than {} bytes", kMaxImageManifestBytes));
    auto document = parse_json(bytes);
    if (!document) {
        return damaged(fmt::format("it is not JSON ({}, line {}, column {})", document.error().message,
                                   document.error().line, document.error().column));
    }
    const auto root = StrictObject::of(*document, "");
    if (!root) return damaged(root.error().message);
    auto type = type_of(*root, content_type);
    if (!type) return damaged(type.error().message);
    const rapidjson::Value* version = root->find("schemaVersion");
    if (is_schema1(*type) || (version != nullptr && version->IsInt() && version->GetInt() == 1))
        return fail("its manifest is of Docker's schema 1, which has no plugins; push it anew with a current Docker");
    const auto kind = kind_of(*type);
    if (!kind) return fail(fmt::format("it is not a plugin: what has its name is of type {}", escaped(*type, 80)));
    if (version == nullptr || !version->IsInt() || version->GetInt() != 2) return damaged("/schemaVersion is not 2");
    const bool of_manifest = root->find("layers") != nullptr || root->find("config") != nullptr;
    if (*kind == Kind::manifest ? root->find("manifests") != nullptr : of_manifest)
        return damaged("it is a manifest and a list of manifests at once");
    return ManifestDocument{*std::move(document), *kind, *std::move(type)};
}

Result<Descriptor> ManifestDocument::descriptor(const char* member, std::uint64_t max_size) const {
    const auto found = root_.FindMember(member);
    if (found == root_.MemberEnd()) return damaged(fmt::format("/{} is missing", member));
    auto out = descriptor_of(found->value, fmt::format("/{}", member), max_size);
    if (!out) return damaged(out.error().message);
    return out;
}

Result<std::vector<Descriptor>> ManifestDocument::descriptors(const char* member, std::size_t max_count,
                                                              std::uint64_t max_size) const {
    std::vector<Descriptor> out;
    const auto found = root_.FindMember(member);
    if (found == root_.MemberEnd() || found->value.IsNull()) return out;
    if (!found->value.IsArray()) return damaged(fmt::format("/{} is not a list", member));
    if (found->value.Size() > max_count)
        return damaged(
            fmt::format("/{} has {} entries; at most {} are allowed", member, found->value.Size(), max_count));
    for (rapidjson::SizeType i = 0; i < found->value.Size(); ++i) {
        auto entry = descriptor_of(found->value[i], fmt::format("/{}/{}", member, i), max_size);
        if (!entry) return damaged(entry.error().message);
        out.push_back(*std::move(entry));
    }
    return out;
}

Result<std::map<std::string, std::string>> ManifestDocument::annotations() const {
    const auto root = StrictObject::of(root_, "");
    if (!root) return damaged(root.error().message);
    auto out = root->texts("annotations");
    if (!out) return damaged(out.error().message);
    return out;
}

}  // namespace brokerd
