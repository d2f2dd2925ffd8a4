#include "daemon/operations/push.h"

#include <fmt/format.h>

#include "daemon/operations/image_fetch.h"
#include "daemon/operations/install.h"
#include "daemon/operations/short_id.h"

namespace brokerd {
namespace {

using Kind = OperationError::Kind;

/// Where the blobs may be already: the repository that the plugin was pulled from, if it is of the same registry.
std::string other_repository(const PluginRecord& record, const ImageReference& target) {
    const auto remote = ImageReference::parse(record.remote);
    return remote && remote->domain() == target.domain() && remote->path() != target.path() ? remote->path() : "";
}

class Uploads {
public:
    Uploads(RepositoryClient& registry, BlobStore& blobs, std::string other, Progress& progress)
        : registry_{registry}, blobs_{blobs}, other_{std::move(other)}, progress_{progress} {}

    [[nodiscard]] OperationResult<bool> upload(const Descriptor& blob) {
        const std::string_view id = short_id(blob.digest);
        const auto there = registry_.has_blob(blob.digest);
        if (!there) return Failure<OperationError>{operation_error(there.error())};
        if (*there) return tell(id, "Layer already exists");
        if (!other_.empty()) {
            const auto mounted = registry_.mount(blob.digest, other_);
            if (!mounted) return Failure<OperationError>{operation_error(mounted.error())};
            if (*mounted) return tell(id, fmt::format("Mounted from {}", other_));
        }
        const auto file = blobs_.open_blob(blob.digest);
        if (!file) return Failure<OperationError>{operation_error(file.error())};
        const auto uploaded = registry_.upload_blob(file->get(), blob, [&](const TransferEvent& event) {
            if (event.phase == TransferEvent::Phase::uploading) {
                progress_.advance(id, "Pushing", event.done, event.total);
            } else if (event.phase == TransferEvent::Phase::retrying) {
                progress_.tell(id, fmt::format("Retrying: {}", event.note));
            }
        });
        if (!uploaded) return Failure<OperationError>{operation_error(uploaded.error())};
        return tell(id, "Upload complete");
    }

private:
    bool tell(std::string_view id, std::string_view status) {
        progress_.tell(id, status);
        return true;
    }

    RepositoryClient& registry_;
    BlobStore& blobs_;
    const std::string other_;
    Progress& progress_;
};

}  // namespace

OperationResult<InstalledImage> installed_image(const OperationRooms& rooms, const PluginRecord& record) {
    if (!record.manifest_digest) {
        return fail(Kind::not_found, fmt::format("plugin {} was made by hand and has no image; create one with "
                                                 "\"pluginctl create\" from its directory",
                                                 record.name));
    }
    std::vector<BlobPin> pins;
    pins.push_back(rooms.blobs.pin(*record.manifest_digest));
    auto bytes = rooms.blobs.read_small(*record.manifest_digest, kMaxImageManifestBytes);
    if (!bytes) return Failure<OperationError>{operation_error(bytes.error())};
    auto manifest = ImageManifest::parse(*bytes, {});
    if (!manifest) return fail(Kind::storage, manifest.error().message);
    std::vector<Descriptor> parts = manifest->layers;
    parts.push_back(manifest->config);
    for (const Descriptor& part : parts) {
        auto pin = rooms.blobs.find(part.digest, part.size);
        if (!pin) return Failure<OperationError>{operation_error(pin.error())};
        if (!*pin) {
            return fail(Kind::storage, fmt::format("blob {} of plugin {} is missing in {}; install the plugin again",
                                                   part.digest.str(), record.name, rooms.blobs.path()));
        }
        pins.push_back(*std::move(*pin));
    }
    return InstalledImage{*std::move(bytes), *std::move(manifest), std::move(pins)};
}

OperationResult<Pushed> push_plugin(const OperationRooms& rooms, const std::string& name,
                                    const RegistryCredentials& credentials, Progress& progress, int cancelled) {
    const auto record = find_plugin(rooms, name);
    if (!record) return Failure<OperationError>{record.error()};
    const auto target = ImageReference::parse((*record)->name);
    if (!target) return fail(Kind::invalid, target.error().message);
    const auto image = installed_image(rooms, **record);
    if (!image) return Failure<OperationError>{image.error()};

    RepositoryClient registry{*rooms.registries.get(), *target, credentials, RegistryAccess::push, cancelled};
    progress.tell("", fmt::format("The push refers to repository [{}]", target->name()));
    Uploads uploads{registry, rooms.blobs, other_repository(**record, *target), progress};
    for (const Descriptor& layer : image->manifest.layers) progress.tell(short_id(layer.digest), "Preparing");
    for (const Descriptor& layer : image->manifest.layers) {
        if (const auto done = uploads.upload(layer); !done) return Failure<OperationError>{done.error()};
    }
    if (const auto done = uploads.upload(image->manifest.config); !done) return Failure<OperationError>{done.error()};
    const std::string tag = target->tag().value_or("latest");
    const auto digest = registry.put_manifest(image->manifest_bytes, image->manifest.media_type, tag);
    if (!digest) return Failure<OperationError>{operation_error(digest.error())};
    progress.tell("", fmt::format("{}: digest: {} size: {}", tag, digest->str(), image->manifest_bytes.size()));
    return Pushed{tag, *digest, image->manifest_bytes.size()};
}

}  // namespace brokerd
