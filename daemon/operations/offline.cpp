#include "daemon/operations/offline.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "common/json.h"
#include "daemon/archive/tar_writer.h"
#include "daemon/archive/unpack.h"
#include "daemon/images/oci_layout.h"
#include "daemon/operations/cancelled.h"
#include "daemon/operations/image_fetch.h"
#include "daemon/operations/install.h"
#include "daemon/operations/push.h"
#include "daemon/operations/short_id.h"

namespace brokerd {
namespace {

using Kind = OperationError::Kind;

/// Ours: time for somebody to read what a loaded plugin asks for.
constexpr std::chrono::minutes kStagedFor{10};

/// The arguments of `set` that lead from the config's defaults to `settings`.
std::vector<std::string> arguments_for(const PluginConfig& config, const PluginSettings& settings) {
    const PluginSettings defaults = PluginSettings::defaults_of(config);
    std::vector<std::string> arguments;
    for (const std::string& variable : settings.env) {
        if (std::find(defaults.env.begin(), defaults.env.end(), variable) == defaults.env.end()) {
            arguments.push_back(variable);
        }
    }
    for (const PluginMount& mount : settings.mounts) {
        const bool as_before =
            std::find(defaults.mounts.begin(), defaults.mounts.end(), mount) != defaults.mounts.end();
        if (!as_before && mount.source) arguments.push_back(fmt::format("{}.source={}", mount.name, *mount.source));
    }
    for (const PluginDevice& device : settings.devices) {
        const bool as_before =
            std::find(defaults.devices.begin(), defaults.devices.end(), device) != defaults.devices.end();
        if (!as_before && device.path) arguments.push_back(fmt::format("{}.path={}", device.name, *device.path));
    }
    if (settings.args.items() != defaults.args.items()) {
        arguments.push_back(fmt::format("{}={}", config.args.name, fmt::join(settings.args.items(), " ")));
    }
    return arguments;
}

/// What the archive says of the plugin's settings, as far as it can be believed.
std::vector<std::string> saved_arguments(const LoadedImage& image, const PluginConfig& config) {
    const auto saved = image.annotations.find(std::string{kSettingsAnnotation});
    if (saved == image.annotations.end()) return {};
    const auto settings = PluginSettings::parse(saved->second);
    return settings ? arguments_for(config, *settings) : std::vector<std::string>{};
}

OperationError layout_failure(const LayoutError& error) {
    switch (error.kind) {
        case LayoutError::Kind::invalid:
            return {Kind::invalid, error.message};
        case LayoutError::Kind::storage:
            return {Kind::storage, error.message};
        case LayoutError::Kind::stopped:
            return {Kind::cancelled, error.message};
    }
    std::abort();
}

/// What the plugin will ask for once these settings are applied.
OperationResult<Privileges> privileges_with(const PluginConfig& config, const std::vector<std::string>& arguments) {
    const auto settings = apply_arguments(config, PluginSettings::defaults_of(config), arguments);
    if (!settings)
        return fail(Kind::invalid, fmt::format("the saved settings do not fit: {}", settings.error().message));
    return required_privileges(config, *settings);
}

}  // namespace

OperationResult<std::monostate> save_plugin(const OperationRooms& rooms, const std::string& name,
                                            const ArchiveSink& sink) {
    const auto record = find_plugin(rooms, name);
    if (!record) return Failure<OperationError>{record.error()};
    const auto image = installed_image(rooms, **record);
    if (!image) return Failure<OperationError>{image.error()};
    const auto reference = ImageReference::parse((*record)->name);
    const std::map<std::string, std::string> annotations{
        {std::string{kReferenceAnnotation}, (*record)->name},
        {std::string{kRefNameAnnotation}, reference ? reference->str() : (*record)->name},
        {std::string{kSettingsAnnotation},
         json_text([&](JsonWriter& writer) { (*record)->settings.write_docker_json(writer); })},
        {std::string{kPrivilegesAnnotation},
         json_text([&](JsonWriter& writer) { write_privileges(writer, (*record)->granted); })},
    };
    TarWriter tar{sink};
    for (const LayoutEntry& entry : plan_layout(image->manifest_bytes, image->manifest, annotations)) {
        Result<bool> added = true;
        if (entry.blob) {
            const auto file = rooms.blobs.open_blob(*entry.blob);
            if (!file) return Failure<OperationError>{operation_error(file.error())};
            added = tar.add_file(entry.path, file->get(), entry.size);
        } else {
            added = tar.add_file(entry.path, entry.bytes);
        }
        if (!added) return fail(Kind::storage, added.error().message);
    }
    if (const auto finished = tar.finish(); !finished) return fail(Kind::storage, finished.error().message);
    return std::monostate{};
}

OperationResult<StagedImage> load_archive(const OperationRooms& rooms, const UploadedArchive& archive,
                                          Progress& progress, int cancelled) {
    // A directory for what is put together serves for the layout, too: it goes with the object, and after a crash.
    const auto staged = rooms.plugins.change([](PluginStore& store) { return store.stage(); });
    if (!staged) return Failure<OperationError>{operation_error(staged.error())};
    progress.tell("", "Reading the archive");
    const auto extracted = extract_archive(archive.fd, staged->rootfs_fd(), rooms.limits, cancelled);
    if (!extracted) return Failure<OperationError>{operation_error(extracted.error(), staged->rootfs_path())};
    if (const auto missing = archive.what_is_missing()) return fail(Kind::invalid, missing->message);
    LayoutRequest request;
    request.progress = [&](const Descriptor& blob, std::uint64_t done) {
        progress.advance(short_id(blob.digest), "Loading", done, blob.size);
        return !is_cancelled(cancelled);
    };
    const auto image = load_layout(staged->rootfs_fd(), rooms.blobs, request);
    if (!image) return Failure<OperationError>{layout_failure(image.error())};
    const auto config = PluginConfig::parse(image->config);
    if (!config) return fail(Kind::invalid, fmt::format("the plugin's config: {}", config.error().str()));
    auto arguments = saved_arguments(*image, *config);
    auto privileges = privileges_with(*config, arguments);
    if (!privileges) return Failure<OperationError>{privileges.error()};
    for (const BlobPin& pin : image->pins) rooms.blobs.keep_for(pin.digest(), kStagedFor);
    const auto reference = ImageReference::parse(image->reference_name.value_or(""));
    return StagedImage{image->manifest_digest, reference ? reference->with_default_tag().familiar() : "",
                       *std::move(privileges), undisclosed_access(*config), std::move(arguments)};
}

OperationResult<PluginRecordPtr> install_staged(const OperationRooms& rooms, const Digest& digest,
                                                const std::string& name, const Privileges& privileges,
                                                const std::vector<std::string>& arguments, Progress& progress,
                                                int cancelled, const OnDone& done) {
    const auto reference = ImageReference::parse(name);
    if (!reference) return fail(Kind::invalid, reference.error().message);
    const auto local = local_name(name, *reference);
    if (!local) return Failure<OperationError>{local.error()};
    const auto claim = rooms.claims.claim(*local, *local);
    if (!claim) return Failure<OperationError>{claim.error()};

    const BlobPin pin = rooms.blobs.pin(digest);
    auto manifest_bytes = rooms.blobs.read_small(digest, kMaxImageManifestBytes);
    if (!manifest_bytes) {
        return fail(Kind::not_found, fmt::format("no image {} has been loaded lately: {}", digest.str(),
                                                 manifest_bytes.error().message));
    }
    auto manifest = ImageManifest::parse(*manifest_bytes, {});
    if (!manifest) return fail(Kind::invalid, manifest.error().message);
    auto config_bytes = rooms.blobs.read_small(manifest->config.digest, kMaxImageConfigBytes);
    if (!config_bytes) return Failure<OperationError>{operation_error(config_bytes.error())};
    StoredImage stored{{digest, *std::move(manifest_bytes), *std::move(manifest), *std::move(config_bytes)}, {}};
    stored.pins.push_back(rooms.blobs.pin(stored.image.manifest.config.digest));
    for (const Descriptor& layer : stored.image.manifest.layers) stored.pins.push_back(rooms.blobs.pin(layer.digest));

    const auto config = read_config(stored.image, *local);
    if (!config) return Failure<OperationError>{config.error()};
    const auto required = privileges_with(**config, arguments);
    if (!required) return Failure<OperationError>{required.error()};
    if (!equal(privileges, *required)) return refuse_privileges(*local, privileges, *required);
    auto installed = install_image(
        rooms, stored, {*local, reference->with_default_tag().str(), required_privileges(**config), arguments, done},
        progress, cancelled);
    // From here on the inventory keeps them, for as long as the plugin is installed and no longer.
    if (installed) {
        for (const BlobPin& blob : stored.pins) rooms.blobs.keep_for(blob.digest(), std::chrono::minutes{0});
        rooms.blobs.keep_for(digest, std::chrono::minutes{0});
    }
    return installed;
}

}  // namespace brokerd
