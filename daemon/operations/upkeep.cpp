#include "daemon/operations/upkeep.h"

#include <fmt/format.h>

#include "daemon/loop/log.h"
#include "daemon/operations/configure.h"
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
    return configure_plugin(rooms, name, arguments, {});
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
