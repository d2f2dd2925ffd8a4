#include "daemon/operations/upkeep.h"

#include <fmt/format.h>

#include "daemon/loop/log.h"
#include "daemon/operations/install.h"

namespace brokerd {
namespace {

using Kind = OperationError::Kind;

}  // namespace

OperationResult<HeldPlugin> hold_plugin(const OperationRooms& rooms, const std::string& name) {
    const auto found = find_plugin(rooms, name);
    if (!found) return Failure<OperationError>{found.error()};
    auto claim = rooms.claims.claim((*found)->id, (*found)->name);
    if (!claim) return Failure<OperationError>{claim.error()};
    // Only now nobody else changes it.
    auto record = rooms.plugins.read([&](const PluginStore& store) { return store.find_id((*found)->id); });
    if (record == nullptr) return fail(Kind::not_found, fmt::format("plugin \"{}\" not found", name));
    return HeldPlugin{std::move(record), *std::move(claim)};
}

OperationResult<PluginRecordPtr> set_plugin(const OperationRooms& rooms, const std::string& name,
                                            const std::vector<std::string>& arguments) {
    const auto held = hold_plugin(rooms, name);
    if (!held) return Failure<OperationError>{held.error()};
    PluginRecord record = *held->record;
    if (record.enabled) {
        return fail(Kind::conflict, "cannot set on an active plugin, disable plugin before setting");
    }
    auto settings = apply_arguments(*record.config, record.settings, arguments);
    if (!settings) return fail(Kind::invalid, settings.error().message);
    auto grant = check_granted(*record.config, *settings, record.granted, Consent::settable_values);
    if (!grant) return fail(Kind::denied, grant.error().message);
    if (!grant->added.empty()) log_info("plugin {}: granted by \"set\": {}", record.name, describe(grant->added));
    record.settings = *std::move(settings);
    record.granted = std::move(grant->granted);
    auto updated = rooms.plugins.change([&](PluginStore& store) { return store.update(std::move(record)); });
    if (!updated) return Failure<OperationError>{operation_error(updated.error())};
    return *std::move(updated);
}

OperationResult<Collected> prune(const OperationRooms& rooms) {
    auto collected = rooms.blobs.collect(
        [&] { return rooms.plugins.read([](const PluginStore& store) { return store.used_blobs(); }); });
    if (!collected) return fail(Kind::storage, collected.error().message);
    return *std::move(collected);
}

void collect_blobs(const OperationRooms& rooms) {
    const auto collected = prune(rooms);
    if (!collected) log_warning("unused blobs could not be removed: {}", collected.error().message);
}

}  // namespace brokerd
