#include "daemon/operations/image_fetch.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <thread>

#include "daemon/operations/short_id.h"

namespace brokerd {
namespace {

/// As dockerd's --max-concurrent-downloads.
constexpr std::size_t kLayersAtOnce = 3;

TransferProgress tell_notes(Progress& progress) {
    return [&progress](const TransferEvent& event) {
        if (event.phase == TransferEvent::Phase::note) progress.tell("", event.note);
    };
}

/// Fetches layers until none is left or one failed; several of it run at the same time.
class LayerFetch {
public:
    LayerFetch(RepositoryClient& registry, const std::vector<Descriptor>& layers, BlobStore& blobs, Progress& progress)
        : registry_{registry}, layers_{layers}, blobs_{blobs}, progress_{progress} {}

    /// All layers, pinned, in no particular order.
    [[nodiscard]] OperationResult<std::vector<BlobPin>> run() {
        for (const Descriptor& layer : layers_) progress_.tell(short_id(layer.digest), "Pulling fs layer");
        {
            std::vector<std::jthread> helpers;
            for (std::size_t i = 1; i < std::min(kLayersAtOnce, layers_.size()); ++i) {
                helpers.emplace_back([this] { work(); });
            }
            work();
        }
        if (error_) return Failure<OperationError>{*std::move(error_)};
        return std::move(pins_);
    }

private:
    void work() {
        while (!failed_) {
            const std::size_t mine = next_++;
            if (mine >= layers_.size()) return;
            auto pin = attempt(layers_[mine]);
            const std::lock_guard lock{mutex_};
            if (pin) {
                pins_.push_back(*std::move(pin));
            } else if (!failed_.exchange(true)) {
                error_ = pin.error();
            }
        }
    }

    /// Nothing may be thrown out of a thread.
    [[nodiscard]] OperationResult<BlobPin> attempt(const Descriptor& layer) noexcept try {
        return fetch(layer);
    } catch (const std::exception& error) {
        return fail(OperationError::Kind::storage, fmt::format("layer {}: {}", layer.digest.str(), error.what()));
    }

    [[nodiscard]] OperationResult<BlobPin> fetch(const Descriptor& layer) {
        const std::string_view id = short_id(layer.digest);
        auto found = blobs_.find(layer.digest, layer.size);
        if (!found) return Failure<OperationError>{operation_error(found.error())};
        if (*found) {
            progress_.tell(id, "Already exists");
            return *std::move(*found);
        }
        auto writer = blobs_.begin(layer.digest, layer.size);
        if (!writer) return Failure<OperationError>{operation_error(writer.error())};
        const auto fetched = registry_.fetch_blob(layer, *writer, [&](const TransferEvent& event) { show(id, event); });
        if (!fetched) return Failure<OperationError>{operation_error(fetched.error())};
        auto pin = writer->commit();
        if (!pin) return Failure<OperationError>{operation_error(pin.error())};
        progress_.tell(id, "Download complete");
        return *std::move(pin);
    }

    void show(std::string_view id, const TransferEvent& event) {
        switch (event.phase) {
            case TransferEvent::Phase::downloading:
                return progress_.advance(id, "Downloading", event.done, event.total);
            case TransferEvent::Phase::verified:
                return progress_.tell(id, "Verifying Checksum");
            case TransferEvent::Phase::retrying:
                return progress_.tell(id, fmt::format("Retrying: {}", event.note));
            case TransferEvent::Phase::note:
                return progress_.tell("", event.note);
            default:
                return;  // of uploads
        }
    }

    RepositoryClient& registry_;
    const std::vector<Descriptor>& layers_;
    BlobStore& blobs_;
    Progress& progress_;
    std::atomic<std::size_t> next_ = 0;
    std::atomic<bool> failed_ = false;
    std::mutex mutex_;  ///< guards the two below
    std::vector<BlobPin> pins_;
    std::optional<OperationError> error_;
};

/// Each layer once: an image may repeat an empty one.
std::vector<Descriptor> distinct(const std::vector<Descriptor>& layers) {
    std::vector<Descriptor> once;
    for (const Descriptor& layer : layers) {
        const bool known = std::any_of(once.begin(), once.end(),
                                       [&](const Descriptor& other) { return other.digest == layer.digest; });
        if (!known) once.push_back(layer);
    }
    return once;
}

/// Follows indexes to the manifest for this machine.
OperationResult<FetchedManifest> fetch_manifest(RepositoryClient& registry, const ImageReference& reference,
                                                Progress& progress) {
    const std::string wanted = reference.digest() ? reference.digest()->str() : reference.tag().value_or("latest");
    auto fetched = registry.manifest(wanted, tell_notes(progress));
    for (unsigned depth = 0; fetched && is_index(fetched->bytes, fetched->media_type); ++depth) {
        if (depth == kMaxIndexDepth) {
            return fail(OperationError::Kind::invalid,
                        fmt::format("{} is a list of lists of images, which brokerd does not follow any deeper; name "
                                    "the image by its digest",
                                    reference.familiar()));
        }
        const auto index = ImageIndex::parse(fetched->bytes, fetched->media_type);
        if (!index) return fail(OperationError::Kind::invalid, index.error().message);
        const auto entry = index->choose_platform(Platform::of_host());
        if (!entry) {
            return fail(OperationError::Kind::not_found,
                        fmt::format("{}: {}", reference.familiar(), entry.error().message));
        }
        fetched = registry.manifest(entry->digest, tell_notes(progress));
    }
    if (!fetched) return Failure<OperationError>{operation_error(fetched.error())};
    return *std::move(fetched);
}

}  // namespace

OperationResult<ResolvedImage> resolve_image(RepositoryClient& registry, const ImageReference& reference,
                                             Progress& progress) {
    auto fetched = fetch_manifest(registry, reference, progress);
    if (!fetched) return Failure<OperationError>{fetched.error()};
    auto manifest = ImageManifest::parse(fetched->bytes, fetched->media_type);
    if (!manifest) {
        return fail(OperationError::Kind::invalid,
                    fmt::format("{}: {}", reference.familiar(), manifest.error().message));
    }
    auto config = registry.small_blob(manifest->config, kMaxImageConfigBytes);
    if (!config) return Failure<OperationError>{operation_error(config.error())};
    if (manifest->was_converted() && !looks_like_plugin_config(*config)) {
        return fail(
            OperationError::Kind::invalid,
            fmt::format("{}: {}", reference.familiar(), not_a_plugin(manifest->config.media_type, *config).message));
    }
    return ResolvedImage{fetched->digest, std::move(fetched->bytes), *std::move(manifest), *std::move(config)};
}

OperationResult<StoredImage> fetch_image(RepositoryClient& registry, ResolvedImage image, BlobStore& blobs,
                                         Progress& progress) {
    StoredImage stored{std::move(image), {}};
    for (const std::string* document : {&stored.image.manifest_bytes, &stored.image.config}) {
        auto pin = blobs.put(*document);
        if (!pin) return Failure<OperationError>{operation_error(pin.error())};
        stored.pins.push_back(*std::move(pin));
    }
    const auto layers = distinct(stored.image.manifest.layers);
    auto pins = LayerFetch{registry, layers, blobs, progress}.run();
    if (!pins) return Failure<OperationError>{pins.error()};
    std::move(pins->begin(), pins->end(), std::back_inserter(stored.pins));
    return stored;
}

OperationError operation_error(const RegistryError& error) {
    using Kind = OperationError::Kind;
    switch (error.kind) {
        case RegistryErrorKind::not_found:
            return {Kind::not_found, error.message};
        case RegistryErrorKind::unauthorized:
            return {Kind::unauthorized, error.message};
        case RegistryErrorKind::denied:
            return {Kind::denied, error.message};
        case RegistryErrorKind::unreachable:
            return {Kind::unreachable, error.message};
        case RegistryErrorKind::invalid:
            return {Kind::invalid, error.message};
        case RegistryErrorKind::io:
            return {Kind::storage, error.message};
        case RegistryErrorKind::cancelled:
            return {Kind::cancelled, error.message};
    }
    std::abort();
}

OperationError operation_error(const BlobError& error) {
    using Kind = OperationError::Kind;
    const bool content = error.kind == BlobError::Kind::too_long || error.kind == BlobError::Kind::too_short ||
                         error.kind == BlobError::Kind::wrong_digest;
    return {content ? Kind::invalid : Kind::storage, error.message};
}

OperationError operation_error(const ArchiveError& error) {
    using Kind = OperationError::Kind;
    switch (error.kind) {
        case ArchiveError::Kind::refused:
            return {Kind::invalid, error.message};
        case ArchiveError::Kind::host:
            return {Kind::storage, error.message};
        case ArchiveError::Kind::cancelled:
            return {Kind::cancelled, error.message};
    }
    std::abort();
}

OperationError operation_error(const ArchiveError& error, const std::string& target) {
    OperationError out = operation_error(error);
    if (out.kind == OperationError::Kind::storage) out.message = fmt::format("{} (below {})", out.message, target);
    return out;
}

}  // namespace brokerd
