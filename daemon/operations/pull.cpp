#include "daemon/operations/pull.h"

#include <fmt/format.h>

#include "daemon/operations/image_fetch.h"
#include "daemon/operations/install.h"
#include "daemon/operations/upkeep.h"

namespace brokerd {
namespace {

using Kind = OperationError::Kind;

RepositoryClient connect(const OperationRooms& rooms, const RemoteImage& image, int cancelled) {
    return {*rooms.registries.get(), image.reference, image.credentials, RegistryAccess::pull, cancelled};
}

/// As dockerd begins its stream.
void announce(const ImageReference& reference, const Digest& digest, Progress& progress) {
    progress.tell(reference.tag().value_or(""), fmt::format("Pulling from {}", reference.familiar_name()));
    progress.tell("", fmt::format("Digest: {}", digest.str()));
}

PluginRecordPtr find_name(const OperationRooms& rooms, const std::string& name) {
    return rooms.plugins.read([&](const PluginStore& store) { return store.find_name(name); });
}

/// The settings and grants that the plugin keeps across the upgrade.
OperationResult<PluginRecord> merge(const PluginRecord& old, std::shared_ptr<const PluginConfig> config,
                                    const Privileges& granted, Progress& progress) {
    const Privileges required = required_privileges(*config);
    if (!consents_to_upgrade(granted, old.granted, required)) {
        const Privileges missing = added(old.granted, required);
        return fail(Kind::denied, fmt::format("incorrect privileges: the new version of {} also asks for {}, and {} "
                                              "was granted",
                                              old.name, missing.empty() ? "nothing" : describe(missing),
                                              granted.empty() ? "none" : describe(granted)));
    }
    auto merged = merge_for_upgrade(*old.config, old.settings, *config);
    auto grant = check_granted(*config, merged.settings, required, Consent::settable_values);
    if (!grant) return fail(Kind::denied, grant.error().message);
    for (const std::string& note : merged.notes) progress.tell("", note);
    PluginRecord record = old;
    record.config = std::move(config);
    record.settings = std::move(merged.settings);
    record.granted = std::move(grant->granted);
    record.broken.clear();
    return record;
}

}  // namespace

OperationResult<RequestedAccess> requested_access(const OperationRooms& rooms, const RemoteImage& image,
                                                  int cancelled) {
    RepositoryClient registry = connect(rooms, image, cancelled);
    NoProgress silence;
    const auto resolved = resolve_image(registry, image.reference, silence);
    if (!resolved) return Failure<OperationError>{resolved.error()};
    const auto config = read_config(*resolved, image.reference.familiar());
    if (!config) return Failure<OperationError>{config.error()};
    return RequestedAccess{required_privileges(**config), undisclosed_access(**config)};
}

OperationResult<PluginRecordPtr> pull(const OperationRooms& rooms, const RemoteImage& image, const std::string& alias,
                                      const Privileges& granted, Progress& progress, int cancelled,
                                      const OnDone& done) {
    const auto name = local_name(alias, image.reference);
    if (!name) return Failure<OperationError>{name.error()};
    const auto claim = rooms.claims.claim(*name, *name);
    if (!claim) return Failure<OperationError>{claim.error()};

    RepositoryClient registry = connect(rooms, image, cancelled);
    auto resolved = resolve_image(registry, image.reference, progress);
    if (!resolved) return Failure<OperationError>{resolved.error()};
    if (const PluginRecordPtr existing = find_name(rooms, *name)) {
        if (existing->manifest_digest != resolved->digest || !existing->broken.empty()) {
            return fail(Kind::conflict, fmt::format("plugin {} already exists", *name));
        }
        progress.tell("", fmt::format("Status: Plugin is up to date for {}", *name));
        return existing;
    }
    // Before anything is downloaded: what would be refused is refused now.
    const auto config = read_config(*resolved, image.reference.familiar());
    if (!config) return Failure<OperationError>{config.error()};
    const Privileges required = required_privileges(**config);
    if (!equal(granted, required)) return refuse_privileges(*name, granted, required);
    announce(image.reference, resolved->digest, progress);
    const auto stored = fetch_image(registry, *std::move(resolved), rooms.blobs, progress);
    if (!stored) return Failure<OperationError>{stored.error()};
    return install_image(rooms, *stored, {*name, image.reference.str(), granted, {}, done}, progress, cancelled);
}

OperationResult<PluginRecordPtr> upgrade(const OperationRooms& rooms, const std::string& name, const RemoteImage& image,
                                         const Privileges& granted, Progress& progress, int cancelled,
                                         const OnDone& done) {
    const auto held = hold_plugin(rooms, name);
    if (!held) return Failure<OperationError>{held.error()};
    const PluginRecord& old = *held->record;
    if (old.enabled) {
        return fail(Kind::conflict,
                    fmt::format("plugin must be disabled before upgrading: plugin {} is enabled", old.name));
    }
    RepositoryClient registry = connect(rooms, image, cancelled);
    auto resolved = resolve_image(registry, image.reference, progress);
    if (!resolved) return Failure<OperationError>{resolved.error()};
    const auto config = read_config(*resolved, image.reference.familiar());
    if (!config) return Failure<OperationError>{config.error()};
    auto record = merge(old, *config, granted, progress);
    if (!record) return Failure<OperationError>{record.error()};
    announce(image.reference, resolved->digest, progress);
    const auto stored = fetch_image(registry, *std::move(resolved), rooms.blobs, progress);
    if (!stored) return Failure<OperationError>{stored.error()};
    note_image(*record, stored->image);
    record->remote = image.reference.str();
    auto staged = unpack_image(rooms, stored->image, progress, cancelled);
    if (!staged) return Failure<OperationError>{staged.error()};
    auto upgraded =
        rooms.plugins.change([&](PluginStore& store) { return store.upgrade(*std::move(staged), *std::move(record)); });
    if (!upgraded) return Failure<OperationError>{operation_error(upgraded.error())};
    const PluginRecordPtr now = upgraded->record;
    { const StagedPlugin old_rootfs = std::move(upgraded->previous); }  // deleted here, not on the store's thread
    collect_blobs(rooms);
    tell(done, *now);  // still claimed: nobody has changed it since
    return now;
}

}  // namespace brokerd
