#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/digest.h"
#include "common/result.h"
#include "daemon/images/platform.h"

namespace brokerd {

/// OCI image-spec, "Media Types", and Docker's registry documentation, "Image Manifest V 2, Schema 2".
inline constexpr std::string_view kDockerManifestType = "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view kDockerManifestListType = "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr std::string_view kDockerSchema1Type = "application/vnd.docker.distribution.manifest.v1+json";
inline constexpr std::string_view kDockerSignedSchema1Type =
    "application/vnd.docker.distribution.manifest.v1+prettyjws";
inline constexpr std::string_view kOciManifestType = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view kOciIndexType = "application/vnd.oci.image.index.v1+json";
/// DESIGN.md section 8: what makes an image a plugin.
inline constexpr std::string_view kPluginConfigType = "application/vnd.docker.plugin.v1+json";
/// What converters to OCI write in its place: then the config's own content decides (looks_like_plugin_config).
/// skopeo 1.9 ("--format oci") replaces the content too, by an image config without anything of the plugin: such an
/// image cannot be installed. Copied with "--format v2s2" it stays as it is, also into an OCI layout.
inline constexpr std::string_view kOciConfigType = "application/vnd.oci.image.config.v1+json";
inline constexpr std::string_view kDockerLayerType = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// OCI distribution-spec 1.1, "Pushing Manifests": registries take manifests of at least 4 MiB; no larger one is read.
inline constexpr std::size_t kMaxImageManifestBytes = std::size_t{4} << 20;
/// Docker's own limit for the layers of an image.
inline constexpr std::size_t kMaxLayers = 127;
/// Ours: the config of a plugin is a few KiB.
inline constexpr std::uint64_t kMaxImageConfigBytes = std::uint64_t{1} << 20;
/// Ours: no layer of a plugin comes near; a larger announcement is a mistake or an attack.
inline constexpr std::uint64_t kMaxLayerBytes = std::uint64_t{64} << 30;
/// Ours: an index may name an index (OCI image-spec allows it), which must then name manifests.
inline constexpr unsigned kMaxIndexDepth = 2;
/// Ours.
inline constexpr std::size_t kMaxIndexEntries = 1024;

/// What one document says of another blob (OCI image-spec, "Content Descriptors"). Inline data and URLs in it are not
/// used: content comes from where the image comes from.
struct Descriptor {
    std::string media_type;
    Digest digest;
    std::uint64_t size = 0;
    std::optional<Platform> platform;
    std::string artifact_type;  ///< may be empty
    std::map<std::string, std::string> annotations;
};

enum class LayerCompression { none, gzip, zstd };
/// What the media type of a layer says; nothing where it is no layer that can be unpacked. The content may differ:
/// Docker labels every layer gzip.
[[nodiscard]] std::optional<LayerCompression> layer_compression(std::string_view media_type);

/// Whether a document is an index (a manifest list) and not a manifest, by its content type or, where that says
/// nothing, by its content. False where it is neither.
[[nodiscard]] bool is_index(std::string_view bytes, std::string_view content_type);

/// A plugin's image: its config and its layers, in the order in which they are applied.
struct ImageManifest {
    std::string media_type;
    Descriptor config;
    std::vector<Descriptor> layers;
    std::map<std::string, std::string> annotations;

    /// Reads a Docker schema 2 or OCI manifest of a plugin. `content_type`: as the registry or the descriptor says it,
    /// may be empty, and must not contradict the document. Refused, each with its own sentence: images that are no
    /// plugins, schema 1, layers that are kept elsewhere, documents that two readers may read differently.
    /// A config of the type kOciConfigType passes: check it with looks_like_plugin_config() once it is here.
    [[nodiscard]] static Result<ImageManifest> parse(std::string_view bytes, std::string_view content_type);

    /// Whether the config's content has yet to decide that this is a plugin.
    [[nodiscard]] bool was_converted() const noexcept { return config.media_type != kPluginConfigType; }
    /// Config and layers together, each digest once.
    [[nodiscard]] std::uint64_t total_size() const;
};

/// A blob of an image that is made here.
struct BlobSize {
    Digest digest;
    std::uint64_t size = 0;
};

/// The manifest of a plugin made here, byte for byte as dockerd's "plugin create" writes it (seen with 20.10), so that
/// digests agree where content does. `layers` are gzip.
[[nodiscard]] std::string write_plugin_manifest(const BlobSize& config, const std::vector<BlobSize>& layers);

/// Whether a config is one of a plugin, for manifests whose converter lost the media type: an object with an
/// "interface" that has "types", in any case of letters, as Docker reads and writes them.
[[nodiscard]] bool looks_like_plugin_config(std::string_view bytes);
/// The sentence for a config that is no plugin's. With the config's content, where it is known, it tells an image that
/// never was a plugin from one that a converter emptied.
[[nodiscard]] Error not_a_plugin(std::string_view config_media_type, std::string_view config = {});

/// A list of the manifests of one image for several platforms, or of several images.
struct ImageIndex {
    std::vector<Descriptor> manifests;
    std::map<std::string, std::string> annotations;

    /// Reads a Docker manifest list or an OCI index. What describes another entry (attestations, signatures) is left
    /// out. An empty list is refused.
    [[nodiscard]] static Result<ImageIndex> parse(std::string_view bytes, std::string_view content_type);

    /// The entry for this machine; the error lists what there is. An entry without a platform is taken where it is the
    /// only one.
    [[nodiscard]] Result<Descriptor> choose_platform(const Platform& host) const;
};

}  // namespace brokerd
