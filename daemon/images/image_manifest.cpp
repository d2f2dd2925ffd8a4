#include "daemon/images/image_manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "common/json.h"
#include "common/plugin_name.h"
#include "daemon/images/manifest_document.h"
#include "daemon/images/strict_object.h"

namespace brokerd {
namespace {

constexpr std::string_view kDockerImageConfigType = "application/vnd.docker.container.image.v1+json";
constexpr std::string_view kOciEmptyType = "application/vnd.oci.empty.v1+json";

struct LayerType {
    std::string_view media_type;
    LayerCompression compression;
};
/// OCI image-spec, "Media Types"; Docker's registry documentation; Docker's zstd name is containerd's.
constexpr std::array kLayerTypes{
    LayerType{kDockerLayerType, LayerCompression::gzip},
    LayerType{"application/vnd.docker.image.rootfs.diff.tar", LayerCompression::none},
    LayerType{"application/vnd.docker.image.rootfs.diff.tar.zstd", LayerCompression::zstd},
    LayerType{"application/vnd.oci.image.layer.v1.tar", LayerCompression::none},
    LayerType{"application/vnd.oci.image.layer.v1.tar+gzip", LayerCompression::gzip},
    LayerType{"application/vnd.oci.image.layer.v1.tar+zstd", LayerCompression::zstd},
};

bool is_kept_elsewhere(std::string_view media_type) {
    return media_type.find(".foreign.") != std::string_view::npos ||
           media_type.find(".nondistributable.") != std::string_view::npos;
}

/// Empty where the layer can be used.
std::string layer_problem(const Descriptor& layer, std::size_t index) {
    if (is_kept_elsewhere(layer.media_type)) {
        return fmt::format("its layer {} is not kept in registries ({}); a plugin must have all its layers with it",
                           index, escaped(layer.media_type, 80));
    }
    if (!layer_compression(layer.media_type)) {
        return fmt::format("its layer {} is no file system layer that brokerd knows ({})", index,
                           escaped(layer.media_type, 80));
    }
    return {};
}

/// Empty where the config may be a plugin's.
std::string config_problem(const ManifestDocument& document, const Descriptor& config) {
    if (config.media_type == kPluginConfigType || config.media_type == kOciConfigType) return {};
    const std::string artifact = string_member(document.root(), "artifactType");
    if (config.media_type == kOciEmptyType || (!artifact.empty() && config.media_type != kDockerImageConfigType)) {
        return fmt::format("it is not a plugin: it is an artifact of type {}",
                           escaped(artifact.empty() ? config.media_type : artifact, 80));
    }
    return not_a_plugin(config.media_type).message;
}

void write_descriptor(JsonWriter& writer, std::string_view media_type, const BlobSize& blob) {
    writer.StartObject();
    write_member(writer, "mediaType", media_type);
    write_member(writer, "digest", blob.digest.str());
    write_key(writer, "size");
    writer.Uint64(blob.size);
    writer.EndObject();
}

/// The member, whatever the case of its letters; null where there is none.
const rapidjson::Value* find_in_any_case(const rapidjson::Value& object, std::string_view name) {
    if (!object.IsObject()) return nullptr;
    for (const auto& member : object.GetObject()) {
        if (equals_ignoring_case({member.name.GetString(), member.name.GetStringLength()}, name)) return &member.value;
    }
    return nullptr;
}

/// Whether a config is what skopeo leaves of a plugin's: an image config for no platform.
bool is_emptied(std::string_view config) {
    if (config.empty() || config.size() > kMaxImageConfigBytes) return false;
    const auto document = parse_json(config);
    return document && document->IsObject() && document->HasMember("architecture") &&
           string_member(*document, "architecture").empty() && string_member(*document, "os").empty();
}

}  // namespace

std::optional<LayerCompression> layer_compression(std::string_view media_type) {
    for (const LayerType& type : kLayerTypes) {
        if (type.media_type == media_type) return type.compression;
    }
    return std::nullopt;
}

bool is_index(std::string_view bytes, std::string_view content_type) {
    const auto document = ManifestDocument::parse(bytes, content_type);
    return document && document->kind() == ManifestDocument::Kind::index;
}

Result<ImageManifest> ImageManifest::parse(std::string_view bytes, std::string_view content_type) {
    const auto document = ManifestDocument::parse(bytes, content_type);
    if (!document) return fail(document.error());
    if (document->kind() != ManifestDocument::Kind::manifest)
        return fail("it is a list of manifests where the manifest of one plugin is needed");

    auto config = document->descriptor("config", kMaxImageConfigBytes);
    if (!config) return fail(config.error());
    if (const std::string why = config_problem(*document, *config); !why.empty()) return fail(why);
    auto layers = document->descriptors("layers", kMaxLayers, kMaxLayerBytes);
    if (!layers) return fail(layers.error());
    if (layers->empty()) return fail("its manifest has no layers, so the plugin has no files");
    for (std::size_t i = 0; i < layers->size(); ++i) {
        if (const std::string why = layer_problem((*layers)[i], i); !why.empty()) return fail(why);
    }
    auto annotations = document->annotations();
    if (!annotations) return fail(annotations.error());
    return ImageManifest{document->media_type(), *std::move(config), *std::move(layers), *std::move(annotations)};
}

std::uint64_t ImageManifest::total_size() const {
    std::uint64_t total = config.size;
    std::set<Digest> counted{config.digest};
    for (const Descriptor& layer : layers) {
        if (counted.insert(layer.digest).second) total += layer.size;
    }
    return total;
}

std::string write_plugin_manifest(const BlobSize& config, const std::vector<BlobSize>& layers) {
    rapidjson::StringBuffer buffer;
    JsonWriter writer{buffer};
    writer.StartObject();
    write_key(writer, "schemaVersion");
    writer.Int(2);
    write_key(writer, "config");
    write_descriptor(writer, kPluginConfigType, config);
    write_key(writer, "layers");
    writer.StartArray();
    for (const BlobSize& layer : layers) write_descriptor(writer, kDockerLayerType, layer);
    writer.EndArray();
    write_member(writer, "mediaType", kDockerManifestType);
    writer.EndObject();
    return {buffer.GetString(), buffer.GetSize()};
}

bool looks_like_plugin_config(std::string_view bytes) {
    if (bytes.size() > kMaxImageConfigBytes) return false;
    const auto document = parse_json(bytes);
    if (!document) return false;
    const rapidjson::Value* interface = find_in_any_case(*document, "interface");
    return interface != nullptr && find_in_any_case(*interface, "types") != nullptr;
}

Error not_a_plugin(std::string_view config_media_type, std::string_view config) {
    if (is_emptied(config)) {
        return {
            fmt::format("it has no plugin config, only an empty one of type {}: if it was a plugin, a converter has "
                        "dropped its config; copy the original with \"skopeo copy --format v2s2\"",
                        escaped(config_media_type, 80))};
    }
    return {fmt::format("it is an image, not a plugin: its config is {}",
                        config_media_type.empty() ? "of no type" : escaped(config_media_type, 80))};
}

Result<ImageIndex> ImageIndex::parse(std::string_view bytes, std::string_view content_type) {
    const auto document = ManifestDocument::parse(bytes, content_type);
    if (!document) return fail(document.error());
    if (document->kind() != ManifestDocument::Kind::index) return fail("it is no list of manifests");
    auto entries = document->descriptors("manifests", kMaxIndexEntries, kMaxImageManifestBytes);
    if (!entries) return fail(entries.error());
    auto annotations = document->annotations();
    if (!annotations) return fail(annotations.error());
    // BuildKit hangs attestations beside the images that they describe: "vnd.docker.reference.type", "unknown/unknown".
    std::erase_if(*entries, [](const Descriptor& entry) {
        return !ManifestDocument::is_manifest_type(entry.media_type) ||
               entry.annotations.contains("vnd.docker.reference.type") ||
               (entry.platform && entry.platform->os == "unknown");
    });
    if (entries->empty()) return fail("its list of manifests names no image");
    return ImageIndex{*std::move(entries), *std::move(annotations)};
}

Result<Descriptor> ImageIndex::choose_platform(const Platform& host) const {
    const Descriptor* best = nullptr;
    int best_rank = 0;
    for (const Descriptor& entry : manifests) {
        const int rank = entry.platform ? host.rank(*entry.platform) : 0;
        if (rank > best_rank) {
            best = &entry;
            best_rank = rank;
        }
    }
    if (best == nullptr && manifests.size() == 1 && !manifests.front().platform) best = &manifests.front();
    if (best != nullptr) return *best;

    std::set<std::string> offered;
    for (const Descriptor& entry : manifests)
        offered.insert(entry.platform ? escaped(entry.platform->str(), 40) : std::string{"one that names no platform"});
    std::string list;
    for (const std::string& name : offered) {
        if (list.size() > 300) {
            list += ", ...";
            break;
        }
        list += (list.empty() ? "" : ", ") + name;
    }
    return fail(fmt::format("it has no image for {}; there is {}", host.str(), list));
}

}  // namespace brokerd
