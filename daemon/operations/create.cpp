#include "daemon/operations/create.h"

#include <fmt/format.h>

#include "daemon/operations/install.h"
#include "daemon/operations/upkeep.h"

namespace brokerd {
namespace {

using Kind = OperationError::Kind;

OperationResult<std::string> created_name(const std::string& name) {
    const auto parsed = ImageReference::parse(name);
    if (!parsed)
        return fail(Kind::invalid, fmt::format("failed to parse reference {}: {}", name, parsed.error().message));
    if (parsed->digest()) return fail(Kind::invalid, "canonical references are not permitted");
    return parsed->with_default_tag().familiar();
}

}  // namespace

OperationResult<LayerBlob> LayerBlob::begin(BlobStore& blobs) {
    auto writer = blobs.begin_unknown(kMaxLayerBytes);
    if (!writer) return Failure<OperationError>{operation_error(writer.error())};
    return LayerBlob{*std::move(writer)};
}

LayerSink LayerBlob::sink() {
    return [this](std::string_view bytes) -> Result<bool> {
        const auto written = writer_.write(bytes);
        if (!written) return fail(written.error().message);
        return true;
    };
}

OperationResult<BlobPin> LayerBlob::commit() {
    auto pin = writer_.commit();
    if (!pin) return Failure<OperationError>{operation_error(pin.error())};
    return *std::move(pin);
}

OperationResult<StoredImage> make_image(BlobStore& blobs, PluginConfig config, BlobPin layer,
                                        std::uint64_t layer_size) {
    config.has_rootfs = true;
    config.rootfs_type = "layers";
    // Of the compressed layer, although the OCI image-spec says otherwise: dockerd writes and expects that (20.10).
    config.diff_ids = NullableList<Digest>{layer.digest()};
    auto stored = image_of(blobs, config.to_blob(), {{layer.digest(), layer_size}});
    if (stored) stored->pins.push_back(std::move(layer));
    return stored;
}

OperationResult<StoredImage> image_of(BlobStore& blobs, const std::string& config_bytes,
                                      const std::vector<BlobSize>& layers) {
    auto config_pin = blobs.put(config_bytes);
    if (!config_pin) return Failure<OperationError>{operation_error(config_pin.error())};
    const std::string manifest_bytes = write_plugin_manifest({config_pin->digest(), config_bytes.size()}, layers);
    auto manifest_pin = blobs.put(manifest_bytes);
    if (!manifest_pin) return Failure<OperationError>{operation_error(manifest_pin.error())};
    auto manifest = ImageManifest::parse(manifest_bytes, kDockerManifestType);
    if (!manifest) return fail(Kind::storage, manifest.error().message);
    StoredImage stored{{manifest_pin->digest(), manifest_bytes, *std::move(manifest), config_bytes}, {}};
    stored.pins.push_back(*std::move(config_pin));
    stored.pins.push_back(*std::move(manifest_pin));
    return stored;
}

namespace {

struct MadeLayer {
    BlobPin pin;
    std::uint64_t size;
};

/// The last part of create_plugin(). Nothing is pinned any more when it has failed.
OperationResult<PluginRecordPtr> install_made(const OperationRooms& rooms, const std::string& name, PluginConfig config,
                                              MadeLayer layer, Progress& progress, int cancelled, const OnDone& done) {
    const Privileges granted = required_privileges(config);
    const auto stored = make_image(rooms.blobs, std::move(config), std::move(layer.pin), layer.size);
    if (!stored) return Failure<OperationError>{stored.error()};
    return install_image(rooms, *stored, {name, name, granted, {}, done}, progress, cancelled);
}

}  // namespace

OperationResult<PluginRecordPtr> create_plugin(const OperationRooms& rooms, const std::string& name,
                                               const UploadedArchive& archive, Progress& progress, int cancelled,
                                               const OnDone& done) {
    const auto local = created_name(name);
    if (!local) return Failure<OperationError>{local.error()};
    const auto claim = rooms.claims.claim(*local, *local);
    if (!claim) return Failure<OperationError>{claim.error()};
    if (rooms.plugins.read([&](const PluginStore& store) { return store.find_name(*local) != nullptr; })) {
        return fail(Kind::conflict, fmt::format("plugin {} already exists", *local));
    }
    auto blob = LayerBlob::begin(rooms.blobs);
    if (!blob) return Failure<OperationError>{blob.error()};
    const auto tar = read_plugin_tar(archive.fd, blob->sink(), rooms.limits, cancelled);
    if (!tar) return Failure<OperationError>{operation_error(tar.error())};
    if (const auto missing = archive.what_is_missing()) return fail(Kind::invalid, missing->message);
    auto config = PluginConfig::parse(tar->config);
    if (!config) return fail(Kind::invalid, fmt::format("config.json: {}", config.error().str()));
    auto layer = blob->commit();
    if (!layer) return Failure<OperationError>{layer.error()};
    auto installed =
        install_made(rooms, *local, *std::move(config), {*std::move(layer), blob->size()}, progress, cancelled, done);
    // Nobody needs the blobs of what failed: a second attempt packs again.
    if (!installed) collect_blobs(rooms);
    return installed;
}

}  // namespace brokerd
