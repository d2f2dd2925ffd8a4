#include "daemon/operations/import.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "common/os/disk_error.h"
#include "common/os/path_trust.h"
#include "daemon/archive/plugin_tar.h"
#include "daemon/archive/unpack.h"
#include "daemon/images/uninterrupted.h"
#include "daemon/managed/docker_import.h"
#include "daemon/operations/cancelled.h"
#include "daemon/operations/create.h"
#include "daemon/operations/install.h"
#include "daemon/operations/upkeep.h"

namespace brokerd {
namespace {

using Kind = OperationError::Kind;

OperationResult<UniqueFd> open_directory(const std::string& path) {
    UniqueFd directory{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
    if (!directory) return fail(Kind::storage, disk_error("open", path, errno));
    return directory;
}

/// One plugin on its way from the engine's directory into ours.
class PluginImport {
public:
    PluginImport(const OperationRooms& rooms, const ImportablePlugin& plugin, Progress& progress, int cancelled,
                 const OnDone& done)
        : rooms_{rooms}, plugin_{plugin}, progress_{progress}, cancelled_{cancelled}, done_{done} {}

    [[nodiscard]] OperationResult<PluginRecordPtr> run() {
        const auto claim = rooms_.claims.claim(plugin_.name, plugin_.name);
        if (!claim) return Failure<OperationError>{claim.error()};
        if (rooms_.plugins.read([&](const PluginStore& store) { return store.find_name(plugin_.name) != nullptr; })) {
            return fail(Kind::conflict, "a plugin of this name is already installed");
        }
        const auto stored = plugin_.blobs.empty() ? pack() : copy();
        if (!stored) return Failure<OperationError>{stored.error()};
        auto staged = unpack_image(rooms_, stored->image, progress_, cancelled_);
        if (!staged) return Failure<OperationError>{staged.error()};
        if (const auto moved = copy_propagated_mount(*staged); !moved) return Failure<OperationError>{moved.error()};
        auto config = read_config(stored->image, plugin_.name);
        if (!config) return Failure<OperationError>{config.error()};
        PluginRecord record;
        record.name = plugin_.name;
        record.remote = plugin_.remote;
        record.settings = plugin_.settings;
        record.granted = required_privileges(**config, record.settings);
        record.config = *std::move(config);
        note_image(record, stored->image);
        auto installed = rooms_.plugins.change([&](PluginStore& store) {
            auto added = store.install(*std::move(staged), std::move(record));
            if (added) tell(done_, **added);  // here: from now on it can be found, and changed
            return added;
        });
        if (!installed) return Failure<OperationError>{operation_error(installed.error())};
        return *std::move(installed);
    }

private:
    /// The image as the engine still has it, each blob verified.
    [[nodiscard]] OperationResult<StoredImage> copy() {
        if (!plugin_.manifest_digest) return copy_parts();
        auto bytes = copy_blob(*plugin_.manifest_digest);
        if (!bytes) return Failure<OperationError>{bytes.error()};
        auto manifest_bytes = rooms_.blobs.read_small(*plugin_.manifest_digest, kMaxImageManifestBytes);
        if (!manifest_bytes) return Failure<OperationError>{operation_error(manifest_bytes.error())};
        auto manifest = ImageManifest::parse(*manifest_bytes, {});
        if (!manifest) return fail(Kind::invalid, manifest.error().message);
        std::vector<BlobPin> pins;
        pins.push_back(*std::move(bytes));
        std::vector<Digest> parts{manifest->config.digest};
        for (const Descriptor& layer : manifest->layers) parts.push_back(layer.digest);
        for (const Digest& part : parts) {
            auto pin = copy_blob(part);
            if (!pin) return Failure<OperationError>{pin.error()};
            pins.push_back(*std::move(pin));
        }
        auto config = rooms_.blobs.read_small(manifest->config.digest, kMaxImageConfigBytes);
        if (!config) return Failure<OperationError>{operation_error(config.error())};
        return StoredImage{
            {*plugin_.manifest_digest, *std::move(manifest_bytes), *std::move(manifest), *std::move(config)},
            std::move(pins)};
    }

    /// The same from an engine that recorded no manifest (before 20.10): one is made of what it did record.
    [[nodiscard]] OperationResult<StoredImage> copy_parts() {
        std::vector<BlobPin> pins;
        std::vector<BlobSize> layers;
        for (const Digest& layer : plugin_.layer_digests) {
            auto pin = copy_blob(layer);
            if (!pin) return Failure<OperationError>{pin.error()};
            layers.push_back({layer, rooms_.blobs.size(layer).value_or(0)});
            pins.push_back(*std::move(pin));
        }
        auto stored = image_of(rooms_.blobs, plugin_.config_bytes, layers);
        if (stored) std::move(pins.begin(), pins.end(), std::back_inserter(stored->pins));
        return stored;
    }

    [[nodiscard]] OperationResult<BlobPin> copy_blob(const Digest& digest) {
        const std::string path = fmt::format("{}/{}", plugin_.blobs, digest.hex());
        const UniqueFd file{::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)};
        struct stat status {};
        if (!file || ::fstat(file.get(), &status) != 0) return fail(Kind::storage, disk_error("open", path, errno));
        if (!S_ISREG(status.st_mode)) return fail(Kind::invalid, fmt::format("{} is no plain file", path));
        auto writer = rooms_.blobs.begin(digest, static_cast<std::uint64_t>(status.st_size));
        if (!writer) return Failure<OperationError>{operation_error(writer.error())};
        std::vector<char> buffer(std::size_t{256} << 10);
        for (;;) {
            if (is_cancelled(cancelled_)) return fail(Kind::cancelled, "the import was cancelled");
            const ssize_t count = uninterrupted([&] { return ::read(file.get(), buffer.data(), buffer.size()); });
            if (count < 0) return fail(Kind::storage, disk_error("read", path, errno));
            if (count == 0) break;
            const auto written = writer->write({buffer.data(), static_cast<std::size_t>(count)});
            if (!written) return Failure<OperationError>{operation_error(written.error())};
        }
        auto pin = writer->commit();
        if (!pin) return Failure<OperationError>{operation_error(pin.error())};
        return *std::move(pin);
    }

    /// A new image of what lies on disk, where the engine has no blobs (any more).
    [[nodiscard]] OperationResult<StoredImage> pack() {
        const auto rootfs = open_directory(plugin_.rootfs);
        if (!rootfs) return Failure<OperationError>{rootfs.error()};
        auto blob = LayerBlob::begin(rooms_.blobs);
        if (!blob) return Failure<OperationError>{blob.error()};
        const auto packed = pack_rootfs(rootfs->get(), blob->sink(), rooms_.limits, cancelled_);
        if (!packed) return Failure<OperationError>{operation_error(packed.error())};
        auto layer = blob->commit();
        if (!layer) return Failure<OperationError>{layer.error()};
        return make_image(rooms_.blobs, plugin_.config, *std::move(layer), blob->size());
    }

    [[nodiscard]] OperationResult<bool> copy_propagated_mount(const StagedPlugin& staged) {
        if (plugin_.propagated_mount.empty()) return false;
        const auto from = open_directory(plugin_.propagated_mount);
        if (!from) return Failure<OperationError>{from.error()};
        const std::string path = staged.path() + "/propagated-mount";
        if (::mkdir(path.c_str(), 0755) != 0) return fail(Kind::storage, disk_error("make", path, errno));
        const auto to = open_directory(path);
        if (!to) return Failure<OperationError>{to.error()};
        auto blob = LayerBlob::begin(rooms_.blobs);
        if (!blob) return Failure<OperationError>{blob.error()};
        const auto packed = pack_rootfs(from->get(), blob->sink(), rooms_.limits, cancelled_);
        if (!packed) return Failure<OperationError>{operation_error(packed.error())};
        const auto layer = blob->commit();  // pinned until it is unpacked; then it is nobody's
        if (!layer) return Failure<OperationError>{layer.error()};
        const auto file = rooms_.blobs.open_blob(layer->digest());
        if (!file) return Failure<OperationError>{operation_error(file.error())};
        const auto unpacked = unpack_layers({{file->get(), Compression::gzip}}, to->get(), rooms_.limits, cancelled_);
        if (!unpacked) return Failure<OperationError>{operation_error(unpacked.error(), path)};
        if (::syncfs(to->get()) != 0) return fail(Kind::storage, disk_error("sync", path, errno));
        return true;
    }

    const OperationRooms& rooms_;
    const ImportablePlugin& plugin_;
    Progress& progress_;
    const int cancelled_;
    const OnDone& done_;
};

}  // namespace

OperationResult<Imported> import_plugins(const OperationRooms& rooms, const std::string& path, Progress& progress,
                                         int cancelled, const OnDone& done) {
    // What a plugin was granted there is granted here, without a question: it must be the engine that says so.
    if (const auto place = path.starts_with('/') ? find_untrusted(path) : std::nullopt) {
        return fail(Kind::invalid, fmt::format("{} is not imported: {}, so others than root can have written what its "
                                               "plugins may do; if it can be trusted, {}",
                                               path, place->reason, place->remedy));
    }
    const auto found = read_docker_plugins(path);
    if (!found) return fail(Kind::invalid, found.error().message);
    for (const std::string& finding : found->findings) progress.tell("", finding);
    Imported imported;
    for (const ImportablePlugin& plugin : found->plugins) {
        auto record = PluginImport{rooms, plugin, progress, cancelled, done}.run();
        if (record) {
            progress.tell("", fmt::format("Imported {}", plugin.name));
            if (plugin.enabled) {
                progress.tell(
                    "", fmt::format("{} is enabled in the engine: disable it there, then enable it here", plugin.name));
            }
            imported.plugins.push_back(*std::move(record));
        } else if (record.error().kind == Kind::cancelled) {
            return Failure<OperationError>{record.error()};
        } else {
            imported.skipped.emplace_back(plugin.name, record.error().message);
        }
    }
    if (!imported.skipped.empty()) collect_blobs(rooms);  // of those that did not get so far
    return imported;
}

}  // namespace brokerd
