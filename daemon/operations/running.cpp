#include "daemon/operations/running.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/enumeration.h"
#include "daemon/loop/log_entry.h"
#include "daemon/operations/cancelled.h"
#include "daemon/operations/install.h"
#include "daemon/operations/upkeep.h"

namespace brokerd {
namespace {

using Kind = OperationError::Kind;

/// Ours: who is named when a plugin is in use.
constexpr std::size_t kMostNamed = 8;

const char* const kUsersUnknown = "the operation was given up before it was known who uses the plugin; try it again";

void warn_about(const PluginRecord& plugin, std::string message) {
    log_entry({LogLevel::warning, std::move(message), {}, {{"PLUGIN_NAME", plugin.name}, {"PLUGIN_ID", plugin.id}}});
}

OperationResult<PluginRecordPtr> store(const OperationRooms& rooms, PluginRecord record) {
    auto updated = rooms.plugins.change([&](PluginStore& plugins) { return plugins.update(std::move(record)); });
    if (!updated) return Failure<OperationError>{operation_error(updated.error())};
    return *std::move(updated);
}

/// The error where somebody uses the plugin that is to be disabled or removed (`verb`), or it is not known who.
std::optional<OperationError> refuse_users(const OperationRooms& rooms, const PluginRecordPtr& record,
                                           std::string_view verb, int cancelled) {
    const auto users = rooms.runs.users(record, cancelled);
    if (!users) return OperationError{Kind::cancelled, kUsersUnknown};
    if (users->empty()) return std::nullopt;
    return OperationError{Kind::conflict,
                          fmt::format("plugin {} is in use by {}; end them first, or {} it with --force", record->name,
                                      enumeration(*users, kMostNamed), verb)};
}

/// Stores first: should we crash in between, the next brokerd ends what still runs.
OperationResult<PluginRecordPtr> store_disabled(const OperationRooms& rooms, const PluginRecord& record) {
    PluginRecord disabled = record;
    disabled.enabled = false;
    return store(rooms, std::move(disabled));
}

}  // namespace

OperationResult<PluginRecordPtr> enable_plugin(const OperationRooms& rooms, const std::string& name,
                                               std::optional<std::chrono::seconds> timeout, int cancelled,
                                               const OnDone& done) {
    const auto held = hold_plugin(rooms, name);
    if (!held) return Failure<OperationError>{held.error()};
    PluginRecord record = *held->record;
    if (record.enabled)
        return fail(Kind::conflict, fmt::format("plugin already enabled: plugin {} is enabled", record.name));
    if (!record.broken.empty())
        return fail(Kind::failed, fmt::format("plugin {} cannot run: {}", record.name, record.broken));
    record.enabled = true;
    if (timeout) record.enable_timeout = *timeout;
    const auto wanted = std::make_shared<const PluginRecord>(record);
    if (const auto problem = rooms.runs.start(wanted, wanted->enable_timeout, cancelled)) {
        return fail(Kind::failed, fmt::format("plugin {} could not be enabled: {}; \"pluginctl logs {}\" shows what it "
                                              "said",
                                              record.name, *problem, record.name));
    }
    auto enabled = store(rooms, std::move(record));
    if (!enabled) {
        rooms.runs.stop(wanted, cancelled);
        return enabled;
    }
    tell(done, **enabled);
    return enabled;
}

OperationResult<PluginRecordPtr> disable_plugin(const OperationRooms& rooms, const std::string& name, bool force,
                                                int cancelled, const OnDone& done) {
    const auto held = hold_plugin(rooms, name);
    if (!held) return Failure<OperationError>{held.error()};
    const PluginRecord& record = *held->record;
    if (!record.enabled)
        return fail(Kind::conflict,
                    fmt::format("plugin is already disabled: plugin {} found but disabled", record.name));
    if (!force) {
        if (const auto in_use = refuse_users(rooms, held->record, "disable", cancelled))
            return Failure<OperationError>{*in_use};
    }
    auto disabled = store_disabled(rooms, record);
    if (!disabled) return disabled;
    const auto problem = rooms.runs.stop(*disabled, cancelled);
    tell(done, **disabled);  // also where it has not ended
    if (problem)
        return fail(Kind::failed, fmt::format("plugin {} is disabled, but has not ended: {}", record.name, *problem));
    return disabled;
}

OperationResult<PluginRecordPtr> remove_plugin(const OperationRooms& rooms, const std::string& name, bool force,
                                               int cancelled, const OnDone& done, const OnDone& only_disabled) {
    const auto held = hold_plugin(rooms, name);
    if (!held) return Failure<OperationError>{held.error()};
    const PluginRecordPtr& record = held->record;
    if (record->enabled && !force) {
        if (const auto in_use = refuse_users(rooms, record, "remove", cancelled))
            return Failure<OperationError>{*in_use};
        return fail(Kind::conflict, fmt::format("plugin {} is enabled", record->name));
    }
    if (record->enabled) {
        if (const auto disabled = store_disabled(rooms, *record); !disabled) return disabled;
    }
    if (const auto problem = rooms.runs.stop(record, cancelled)) {
        // It is still ending, and its files are in use: the next rm finds it ended.
        if (is_cancelled(cancelled)) {
            if (record->enabled) tell(only_disabled, *record);
            return fail(Kind::failed, fmt::format("plugin {} is not removed: {}", record->name, *problem));
        }
        warn_about(*record, fmt::format("plugin {} is removed although it has not ended: {}", record->name, *problem));
    }
    // Before the record: should we crash in between, nobody would know of them any more.
    if (const auto problem = rooms.logs.remove(record->id))
        warn_about(*record, fmt::format("the logs of plugin {} are left behind: {}", record->name, *problem));
    auto removed = rooms.plugins.change([&](PluginStore& plugins) {
        auto gone = plugins.remove(record->id);
        if (gone) tell(done, *record);  // here: from now on its name is free
        return gone;
    });
    if (!removed) {
        if (record->enabled) tell(only_disabled, *record);
        return Failure<OperationError>{operation_error(removed.error())};
    }
    removed->reset();  // the slow part, on this thread
    collect_blobs(rooms);
    return record;
}

}  // namespace brokerd
