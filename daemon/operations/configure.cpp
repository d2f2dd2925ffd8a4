#include "daemon/operations/configure.h"

#include "daemon/loop/log_entry.h"
#include "daemon/operations/install.h"
#include "daemon/operations/upkeep.h"

namespace brokerd {
namespace {

using Kind = OperationError::Kind;

OperationResult<bool> apply_settings(PluginRecord& record, const std::vector<std::string>& arguments) {
    auto settings = apply_arguments(*record.config, record.settings, arguments);
    if (!settings) return fail(Kind::invalid, settings.error().message);
    auto grant = check_granted(*record.config, *settings, record.granted, Consent::settable_values);
    if (!grant) return fail(Kind::denied, grant.error().message);
    if (!grant->added.empty()) {
        log_entry({LogLevel::info,
                   fmt::format("plugin {}: granted by \"set\": {}", record.name, describe(grant->added)),
                   {},
                   {{"PLUGIN_NAME", record.name}, {"PLUGIN_ID", record.id}}});
    }
    record.settings = *std::move(settings);
    record.granted = std::move(grant->granted);
    return true;
}

}  // namespace

OperationResult<PluginRecordPtr> configure_plugin(const OperationRooms& rooms, const std::string& name,
                                                  const std::vector<std::string>& arguments,
                                                  const LimitsChange& limits) {
    const auto held = hold_plugin(rooms, name);
    if (!held) return Failure<OperationError>{held.error()};
    PluginRecord record = *held->record;
    if (record.enabled) {
        return fail(Kind::conflict, "cannot set on an active plugin, disable plugin before setting");
    }
    record.limits = limits.applied_to(record.limits);
    if (std::string fault = limits_fault(record.limits); !fault.empty()) return fail(Kind::invalid, std::move(fault));
    const auto applied = apply_settings(record, arguments);
    if (!applied) return Failure<OperationError>{applied.error()};
    auto updated = rooms.plugins.change([&](PluginStore& store) { return store.update(std::move(record)); });
    if (!updated) return Failure<OperationError>{operation_error(updated.error())};
    return *std::move(updated);
}

}  // namespace brokerd
