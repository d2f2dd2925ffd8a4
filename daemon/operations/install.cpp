#include "daemon/operations/install.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>

#include "common/os/disk_error.h"
#include "daemon/archive/unpack.h"
#include "daemon/operations/image_fetch.h"
#include "daemon/operations/short_id.h"

namespace brokerd {
namespace {

using Kind = OperationError::Kind;

/// By content: Docker labels every layer gzip. RFC 1952 2.3.1, RFC 8878 3.1.1.
Compression compression_of(int blob) {
    std::array<unsigned char, 4> start{};
    if (::pread(blob, start.data(), start.size(), 0) != ssize_t{start.size()}) return Compression::none;
    if (start[0] == 0x1f && start[1] == 0x8b) return Compression::gzip;
    if (start == std::array<unsigned char, 4>{0x28, 0xb5, 0x2f, 0xfd}) return Compression::zstd;
    return Compression::none;
}

/// Checks what the operator grants, and makes the record of the plugin to be.
OperationResult<PluginRecord> make_record(const ResolvedImage& image, std::shared_ptr<const PluginConfig> config,
                                          const InstallRequest& request) {
    const Privileges required = required_privileges(*config);
    if (!equal(request.granted, required)) return refuse_privileges(request.name, request.granted, required);
    PluginRecord record;
    record.name = request.name;
    record.remote = request.remote;
    record.settings = PluginSettings::defaults_of(*config);
    record.granted = required;
    if (!request.arguments.empty()) {
        auto settings = apply_arguments(*config, record.settings, request.arguments);
        if (!settings) return fail(Kind::invalid, settings.error().message);
        record.settings = *std::move(settings);
        auto grant = check_granted(*config, record.settings, record.granted, Consent::settable_values);
        if (!grant) return fail(Kind::denied, grant.error().message);
        record.granted = std::move(grant->granted);
    }
    record.config = std::move(config);
    note_image(record, image);
    return record;
}

}  // namespace

OperationResult<std::string> local_name(const std::string& alias, const ImageReference& remote) {
    if (alias.empty()) {
        const ImageReference plain = remote.without_tag();
        if (!remote.tag()) return plain.with_default_tag().familiar();
        const auto tagged = plain.with_tag(*remote.tag());
        return tagged ? tagged->familiar() : plain.with_default_tag().familiar();
    }
    const auto parsed = ImageReference::parse(alias);
    if (!parsed) return fail(Kind::invalid, parsed.error().message);
    if (parsed->digest()) return fail(Kind::invalid, "cannot use digest in plugin tag");
    return parsed->with_default_tag().familiar();
}

OperationResult<std::shared_ptr<const PluginConfig>> read_config(const ResolvedImage& image, std::string_view name) {
    auto config = PluginConfig::parse(image.config);
    if (config) return std::make_shared<const PluginConfig>(*std::move(config));
    return fail(Kind::invalid, fmt::format("the config of {} is not one of a plugin: {}", name, config.error().str()));
}

Failure<OperationError> refuse_privileges(const std::string& name, const Privileges& granted,
                                          const Privileges& required) {
    return fail(Kind::denied, fmt::format("incorrect privileges: {} asks for {}, and {} was granted", name,
                                          required.empty() ? "none" : describe(required),
                                          granted.empty() ? "none" : describe(granted)));
}

void note_image(PluginRecord& record, const ResolvedImage& image) {
    record.config_bytes = std::make_shared<const std::string>(image.config);
    record.manifest_digest = image.digest;
    record.config_digest = image.manifest.config.digest;
    record.layer_digests.clear();
    for (const Descriptor& layer : image.manifest.layers) record.layer_digests.push_back(layer.digest);
}

OperationResult<StagedPlugin> unpack_image(const OperationRooms& rooms, const ResolvedImage& image, Progress& progress,
                                           int cancelled) {
    std::vector<UniqueFd> files;
    std::vector<LayerInput> layers;
    for (const Descriptor& layer : image.manifest.layers) {
        auto file = rooms.blobs.open_blob(layer.digest);
        if (!file) return Failure<OperationError>{operation_error(file.error())};
        layers.push_back({file->get(), compression_of(file->get())});
        files.push_back(*std::move(file));
    }
    auto staged = rooms.plugins.change([](PluginStore& store) { return store.stage(); });
    if (!staged) return Failure<OperationError>{operation_error(staged.error())};
    std::size_t complete = 0;  // layers that have been told to be
    const auto complete_until = [&](std::size_t layer) {
        for (; complete < layer; ++complete)
            progress.tell(short_id(image.manifest.layers[complete].digest), "Complete");
    };
    const auto unpacked = unpack_layers(layers, staged->rootfs_fd(), rooms.limits, cancelled,
                                        [&](std::size_t layer, std::uint64_t bytes) {
                                            complete_until(layer);
                                            const Descriptor& blob = image.manifest.layers[layer];
                                            progress.advance(short_id(blob.digest), "Extracting", bytes, blob.size);
                                        });
    if (!unpacked) return Failure<OperationError>{operation_error(unpacked.error(), staged->rootfs_path())};
    complete_until(layers.size());
    if (::syncfs(staged->rootfs_fd()) != 0) {
        return fail(Kind::storage, disk_error("sync", staged->rootfs_path(), errno));
    }
    return *std::move(staged);
}

OperationResult<PluginRecordPtr> install_image(const OperationRooms& rooms, const StoredImage& stored,
                                               const InstallRequest& request, Progress& progress, int cancelled) {
    auto config = read_config(stored.image, request.name);
    if (!config) return Failure<OperationError>{config.error()};
    auto record = make_record(stored.image, *std::move(config), request);
    if (!record) return Failure<OperationError>{record.error()};
    auto staged = unpack_image(rooms, stored.image, progress, cancelled);
    if (!staged) return Failure<OperationError>{staged.error()};
    auto installed = rooms.plugins.change([&](PluginStore& store) {
        auto added = store.install(*std::move(staged), *std::move(record));
        if (added) tell(request.done, **added);  // here: from now on it can be found, and changed
        return added;
    });
    if (!installed) return Failure<OperationError>{operation_error(installed.error())};
    return *std::move(installed);
}

OperationResult<PluginRecordPtr> find_plugin(const OperationRooms& rooms, std::string_view name) {
    auto found = rooms.plugins.read([&](const PluginStore& store) { return store.find(name); });
    if (found) return *std::move(found);
    return Failure<OperationError>{operation_error(found.error())};
}

OperationError operation_error(const FindError& error) {
    return {error.kind == FindError::Kind::not_found ? Kind::not_found : Kind::invalid, error.message};
}

OperationError operation_error(const StoreError& error) {
    switch (error.kind) {
        case StoreError::Kind::not_found:
            return {Kind::not_found, error.message};
        case StoreError::Kind::already_exists:
        case StoreError::Kind::conflict:
            return {Kind::conflict, error.message};
        case StoreError::Kind::invalid:
            return {Kind::invalid, error.message};
        case StoreError::Kind::system:
        case StoreError::Kind::undecided:
            return {Kind::storage, error.message};
    }
    std::abort();
}

}  // namespace brokerd
