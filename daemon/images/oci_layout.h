#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/digest.h"
#include "common/result.h"
#include "daemon/images/blob_pin.h"
#include "daemon/images/blob_store.h"
#include "daemon/images/image_manifest.h"

namespace brokerd {

/// What brokerd writes beside an image in a layout (OCI image-spec, "Annotations"): each is plain text here.
inline constexpr std::string_view kReferenceAnnotation = "io.brokerd.plugin.reference";
inline constexpr std::string_view kSettingsAnnotation = "io.brokerd.plugin.settings";
inline constexpr std::string_view kPrivilegesAnnotation = "io.brokerd.plugin.privileges";
/// OCI image-spec, "Pre-Defined Annotation Keys": a tag or a whole reference, depending on who wrote it.
inline constexpr std::string_view kRefNameAnnotation = "org.opencontainers.image.ref.name";

/// An image that is in the blob store now: manifest, config and layers are there and pinned.
struct LoadedImage {
    Digest manifest_digest;
    std::string manifest_bytes;
    ImageManifest manifest;
    std::string config;  ///< the config blob's bytes
    /// The image's whole reference, where the layout says one: brokerd's own annotation, or another's that parses.
    std::optional<std::string> reference_name;
    std::map<std::string, std::string> annotations;  ///< of the entry in index.json
    std::vector<BlobPin> pins;
};

struct LayoutRequest {
    /// Which image, where there are several: a reference or a tag as the layout names it. Empty: the one for
    /// `platform`.
    std::string name;
    Platform platform = Platform::of_host();
    /// Told of each piece that was copied; false ends the loading. May be empty.
    std::function<bool(const Descriptor& blob, std::uint64_t done)> progress;
};

/// Why a layout was not loaded.
struct LayoutError {
    enum class Kind {
        invalid,  ///< the layout's fault
        storage,  ///< the disk's
        stopped,  ///< by LayoutRequest::progress
    };
    Kind kind;
    std::string message;
};

/// Copies a plugin's image from an OCI image layout directory (OCI image-spec, "Image Layout") into the store, each
/// blob verified as it is copied. The directory is hostile: nothing outside of it is read, whatever links it has, and
/// files are no larger than they were announced. `directory` is borrowed. Thread: a worker, as it reads and writes
/// much.
[[nodiscard]] Result<LoadedImage, LayoutError> load_layout(int directory, BlobStore& store,
                                                           const LayoutRequest& request);

/// What goes into an archive that is an OCI layout, in this order.
struct LayoutEntry {
    std::string path;            ///< "blobs/sha256/…", relative, without "./"
    std::string bytes;           ///< the file's content, where `blob` is empty
    std::optional<Digest> blob;  ///< else the content is this blob of the store
    std::uint64_t size = 0;
};

/// The files of a layout that holds this one image, "oci-layout" and "index.json" first. `manifest_bytes` is the
/// manifest as it is in the store: it is kept as it is, so that digests stay. `annotations` go to the entry in
/// index.json.
[[nodiscard]] std::vector<LayoutEntry> plan_layout(std::string_view manifest_bytes, const ImageManifest& manifest,
                                                   const std::map<std::string, std::string>& annotations);

}  // namespace brokerd
